"""Inputs are opened once each, and what a render would refuse is named with line and column."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from tasks.manifest.inputs import open_inputs
from tasks.manifest.reading import read_manifest

SR = 22_050


@pytest.fixture
def root(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("rain.wav", "tune.wav", "tune.ogg"):
        sf.write(tmp_path / name, 0.1 * rng.standard_normal(2 * SR), SR)
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "folder.wav").mkdir()
    return tmp_path


def _problems(root: Path, *lines: str) -> list[tuple[int, str, str]]:
    text = "\n".join(["id,ambience,music,start_s,duration_s", *lines]).encode()
    manifest = read_manifest(text, input_roots=[str(root), "s3://bucket"])
    assert manifest.problems == ()
    return [(p.line, p.column, p.code) for p in open_inputs(manifest.rows).problems]


def test_inputs_that_cannot_be_opened_are_named_by_line_and_column(root: Path) -> None:
    assert _problems(
        root,
        "a,rain.wav,gone.wav",
        "b,rain.wav,tune.wav",
        "c,folder.wav,tune.wav",
        "d,rain.wav + lost.wav,tune.wav",
        "e,empty.wav,empty.wav",
    ) == [
        (2, "music", "not_found"),
        (4, "ambience", "not_a_file"),
        (5, "ambience", "not_found"),
        (6, "ambience", "empty_file"),
        (6, "music", "empty_file"),
    ]


def test_a_section_outside_the_music_is_named_whatever_the_format(root: Path) -> None:
    assert _problems(
        root,
        "a,rain.wav,tune.wav,0.5,1",
        "b,rain.wav,tune.wav,0.5,2",
        "c,rain.wav,tune.ogg,0.5,1",
        "d,rain.wav,tune.ogg,0.5,2",
        "e,rain.wav,tune.ogg,5,",
    ) == [(3, "music", "bad_range"), (5, "music", "bad_range"), (6, "music", "bad_range")]


def test_buckets_are_counted_and_not_opened(root: Path) -> None:
    text = b"ambience,music\ns3://bucket/rain.wav,tune.wav\n"
    inputs = open_inputs(read_manifest(text, input_roots=[str(root), "s3://bucket"]).rows)
    assert (inputs.problems, inputs.n_remote) == ([], 1)
    assert [Path(uri).name for uri in inputs.headers] == ["tune.wav"]
