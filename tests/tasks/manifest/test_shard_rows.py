"""Rows of a shard in their own file."""

from pathlib import Path

import pytest

from tasks.manifest.reading import read_manifest
from tasks.manifest.shard_rows import ShardRows, read_rows, rows_sha256, write_rows
from tasks.running.workspace import Workspace
from tasks.storage.files import StorageError

CELLS = (
    "id,ambience,music,output,enabled,preset,strength,start,iterations,content_weight,style_weight,"
    "learning_rate,seed,start_s,duration_s,sample_rate,format,subtype,loudness_lufs,note,x_mood\n"
    "full,rain 1.wav*0.1 + wind.wav*0.30000000000000004,tune.wav,a/ö.flac,true,mel,0.1,noise,3,"
    "0.7,1e-3,0.05,9,1.5,20,44100,flac,PCM_24,-23.5,=a note,é\n"
    "plain,rain.wav,tune.wav,,,,,,,,,,,,,,,,,,\n"
)


def test_every_column_of_a_row_comes_back(
    tmp_path: Path, workspace: Workspace, root_uri: str
) -> None:
    manifest = read_manifest(CELLS.encode(), input_roots=[str(tmp_path)])
    manifest.raise_problems()
    place = ShardRows("run-1", "shard-000000", rows_sha256(manifest.rows))
    there = Workspace(root_uri, workspace.scratch)
    write_rows(manifest.rows, place, there)
    assert read_rows(place, there) == list(manifest.rows)


def test_the_rows_of_two_cuts_coexist(tmp_path: Path, workspace: Workspace) -> None:
    manifest = read_manifest(CELLS.encode(), input_roots=[str(tmp_path)])
    cuts = [manifest.rows[:1], manifest.rows[1:]]
    places = [ShardRows("run-1", "shard-000000", rows_sha256(rows)) for rows in cuts]
    for rows, place in zip(cuts, places, strict=True):
        write_rows(rows, place, workspace)
    assert [read_rows(place, workspace) for place in places] == [list(rows) for rows in cuts]


def test_missing_or_damaged_rows_are_an_error_with_a_way_out(
    tmp_path: Path, workspace: Workspace
) -> None:
    rows = read_manifest(CELLS.encode(), input_roots=[str(tmp_path)]).rows
    place = ShardRows("run-1", "shard-000000", rows_sha256(rows))
    with pytest.raises(StorageError, match="retry the run of its catalogue") as gone:
        read_rows(place, workspace)
    assert gone.value.code == "not_found"
    write_rows(rows, place, workspace)
    Path(place.uri(workspace)).write_text("{}\n")
    with pytest.raises(StorageError, match="retry the run of the catalogue") as damaged:
        read_rows(place, workspace)
    assert damaged.value.code == "bad_rows"
