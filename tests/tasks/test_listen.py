import dataclasses
from pathlib import Path

import pytest

from tasks.invert import invert_pair
from tasks.jobs.pair import PairJob
from tasks.listen import share_pair
from tasks.manifest.row import ManifestRow
from tasks.report.page.data import Parts, page_rows
from tasks.report.results import success
from tasks.report.tables import report_table
from tasks.running.workspace import Workspace
from tasks.storage.errors import StorageError
from tasks.storage.files import list_files
from tasks.storage.lease import hold
from tasks.storage.uris import join
from tasks.storage.writer_record import Writer
from tasks.upload import upload_pair

PLACES = {"ambience": "/in/rain.wav", "music": "/in/tune.wav", "output": "rain-tune.wav"}


@pytest.fixture
def listed(pair: PairJob) -> PairJob:
    """The pair of a catalogue, which has a page."""
    return dataclasses.replace(pair, output_folder=str(Path(pair.output_uri).parent))


def shared(job: PairJob) -> set[str]:
    folder = Path(job.output_folder)
    return {f"listen/{path.name}" for path in (folder / "listen").glob("*")}


def row_of(job: PairJob, workspace: Workspace) -> dict:
    """The row of the page that is made after the pair."""
    row = ManifestRow(line=2, id="rain-tune", **PLACES)
    table = report_table([success(row, job, workspace, "ok")])
    parts = Parts(job.output_folder, job.output_folder, shared(job), job.listen)
    (shown,) = page_rows(table, parts)
    return shown


def test_a_rendered_pair_shares_its_picture(rendered: Workspace, listed: PairJob) -> None:
    share_pair(listed, rendered)
    row = row_of(listed, rendered)
    assert {row["picture"]} == shared(listed)
    assert (Path(listed.output_folder) / row["picture"]).read_bytes()[8:12] == b"WEBP"
    assert row["music_url"].endswith("in/tune.wav")


def test_previews_are_where_the_page_looks_for_them(rendered: Workspace, listed: PairJob) -> None:
    job = dataclasses.replace(listed, listen="previews")
    share_pair(job, rendered)
    row = row_of(job, rendered)
    assert {row["picture"], row["music_url"], row["ambience_url"]} == shared(job)
    assert len(shared(job)) == 3


def test_inputs_that_no_browser_plays_get_previews(rendered: Workspace, listed: PairJob) -> None:
    tta = dataclasses.replace(listed.music, uri="/in/tune.tta")
    job = dataclasses.replace(listed, music=tta)
    invert_pair(job, rendered)  # its comment names the file
    share_pair(job, rendered)
    assert len([name for name in shared(listed) if name.endswith(".mp3")]) == 1


def test_nothing_is_shared_twice_or_without_need(rendered: Workspace, listed: PairJob) -> None:
    none = dataclasses.replace(
        listed, listen="none", music=dataclasses.replace(listed.music, uri="")
    )
    invert_pair(none, rendered)
    share_pair(none, rendered)
    before = {name: (Path(listed.output_folder) / name).stat().st_mtime_ns for name in shared(none)}
    assert len(before) == 1, "the picture"
    share_pair(none, rendered)
    after = {name: (Path(listed.output_folder) / name).stat().st_mtime_ns for name in shared(none)}
    assert after == before


def test_a_single_pair_shares_nothing(rendered: Workspace, pair: PairJob) -> None:
    share_pair(pair, rendered)
    assert not (Path(pair.output_uri).parent / "listen").exists()


def test_a_page_that_cannot_be_written_costs_no_pair(
    rendered: Workspace, listed: PairJob, caplog: pytest.LogCaptureFixture
) -> None:
    (Path(listed.output_folder) / "listen").write_text("a file where a folder should be")
    share_pair(listed, rendered)
    assert "the listening page lacks a part of rain-tune" in caplog.text


def test_a_run_that_has_lost_its_folder_shares_nothing(
    rendered: Workspace, listed: PairJob
) -> None:
    with hold(
        listed.output_folder, Writer(run_id="run-1", name="n", url="", shared=False)
    ) as lease:
        claim = lease.claim
    with hold(listed.output_folder, Writer(run_id="run-2", name="n", url="", shared=False)):
        with pytest.raises(StorageError) as lost:
            share_pair(dataclasses.replace(listed, claim=claim), rendered)
    assert lost.value.code == "lease_lost"
    assert shared(listed) == set()


def test_a_picture_is_drawn_once_per_sound(rendered: Workspace, pair: PairJob) -> None:
    drawn = rendered.store.find(*pair.picture)
    flac = dataclasses.replace(pair.output, format="flac")
    other = dataclasses.replace(pair, output=flac)
    assert other.picture == pair.picture
    assert other.audio != pair.audio
    softer = dataclasses.replace(pair, strength=0.3)
    assert softer.picture != pair.picture
    invert_pair(other, rendered)
    assert rendered.store.find(*other.picture) == drawn


def test_parts_are_shared_in_a_folder_and_in_a_bucket(
    rendered: Workspace, pair: PairJob, root_uri: str
) -> None:
    output = join(root_uri, "night")
    job = dataclasses.replace(
        pair, output_uri=join(output, "a.wav"), output_folder=output, listen="previews"
    )
    upload_pair(job, rendered)
    share_pair(job, rendered)
    found = {f"listen/{Path(entry.uri).name}" for entry in list_files(join(output, "listen"))}
    assert len(found) == 3
    row = ManifestRow(line=2, id="rain-tune", **PLACES)
    table = report_table([success(row, job, rendered, "ok")])
    (shown,) = page_rows(table, Parts(output, output, found, job.listen))
    assert {shown["picture"], shown["music_url"], shown["ambience_url"]} == found
    assert shown["result_url"] == "a.wav"
