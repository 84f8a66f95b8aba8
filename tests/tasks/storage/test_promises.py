"""The promises of docs/explanation/promises.md that a killed process and a bad disk put to a test.

P1 and P2 are also tested in test_store.py, and in tests/flows: P5 in test_render_catalog.py, P7 in
test_rendering_again.py, healing in test_healing.py.
"""

import os
from contextlib import suppress
from pathlib import Path

import pytest

from tasks.report.parts import result_log
from tasks.report.results import RowResult
from tasks.report.tables import write_report
from tasks.running.workspace import Workspace
from tasks.storage.errors import StorageError
from tasks.storage.files import publish
from tasks.storage.store import PROMISES, Store
from tests.writers import kill_two_writers

ROUNDS, SERVER_ROUNDS = 60, 5
"""`make soak` kills for minutes at each place; starting a client of S3 takes a second."""
ROOT = Path(__file__).parents[3]


def test_every_promise_is_stated_in_the_documents() -> None:
    page = (ROOT / "docs" / "explanation" / "promises.md").read_text("utf-8")
    for name, claim in PROMISES.items():
        assert f"**{name}** {claim}" in page.replace("\n", " ").replace("  ", " "), name


def test_killed_writers_break_no_promise(root_uri: str) -> None:
    is_s3 = root_uri.startswith("s3://")
    rounds = SERVER_ROUNDS if is_s3 else ROUNDS
    judge = kill_two_writers(root_uri, rounds=rounds, longest_s=0.6 if is_s3 else 0.15)
    assert judge.n_rounds == rounds
    assert judge.seen, "the writers lived long enough to make something"
    assert (judge.n_lost, judge.n_wrong, judge.n_changed) == (0, 0, 0)


@pytest.mark.slow
def test_killed_writers_break_no_promise_but_the_fourth_on_a_weak_server(weak_bucket: str) -> None:
    judge = kill_two_writers(weak_bucket, rounds=SERVER_ROUNDS, longest_s=0.6)
    assert judge.seen
    assert (judge.n_lost, judge.n_wrong) == (0, 0)


def test_a_full_disk_is_a_clear_error_and_old_results_stay(
    small_disk: Path, tmp_path: Path
) -> None:
    store, made = Store(str(small_disk / "store")), tmp_path / "made"
    made.write_bytes(os.urandom(500_000))
    old = store.commit("s", "old", made, "bin", {})
    publish(made, str(small_disk / "out.bin"))
    made.write_bytes(os.urandom(1_900_000))
    for action in (
        lambda: store.commit("s", "new", made, "bin", {}),
        lambda: publish(made, str(small_disk / "out.bin")),
    ):
        with pytest.raises(StorageError, match="No space left on device"):
            action()
    assert store.find("s", "new") is None
    assert store.find("s", "old") == old
    assert len(store.fetch_bytes(old)) == 500_000
    assert (small_disk / "out.bin").stat().st_size == 500_000
    left = [path.name for path in small_disk.rglob(".tmp-*")]
    assert left == []


def _report_with_a_full_disk(disk: Path, workspace: Workspace, output: Path) -> None:
    with result_log(workspace) as log:
        with suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(1 << 12))
        log.add(RowResult(line=2, id="r", status="skipped"))
        write_report(log, workspace, str(output))


def test_a_report_on_a_full_scratch_disk_names_the_setting(
    small_disk: Path, tmp_path: Path
) -> None:
    workspace = Workspace(str(tmp_path / "store"), str(small_disk / "scratch"))
    with pytest.raises(StorageError, match="AMNST_SCRATCH"):
        _report_with_a_full_disk(small_disk, workspace, tmp_path / "out")
    assert list((small_disk / "scratch").iterdir()) == []


def test_a_full_scratch_disk_names_the_setting(small_disk: Path, tmp_path: Path) -> None:
    from tasks.running.caching import produce
    from tests.tasks.running.test_caching import Note

    workspace = Workspace(str(tmp_path / "store"), str(small_disk / "scratch"))

    def fill(path: Path) -> dict[str, str]:
        path.write_bytes(bytes(3 << 20))
        return {}

    with pytest.raises(StorageError, match="AMNST_SCRATCH"):
        produce(Note("x"), workspace, "bin", fill)
    assert list((small_disk / "scratch").iterdir()) == []
