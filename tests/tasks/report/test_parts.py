"""The parts of a report, and the report of all parts."""

import csv
import io

import pytest

from tasks.report.parts import CATALOG, forget_part, is_over, read_part, report_run, result_log
from tasks.report.results import RowResult
from tasks.storage.files import read_bytes

RUN = "0b5e7c3a-run"


def result(line, status="ok", **values):
    return RowResult(line=line, id=f"row-{line}", status=status, **values)


@pytest.fixture
def part(workspace):
    def write(name, *results):
        with result_log(workspace) as log:
            for each in results:
                log.add(each)
            log.publish(RUN, name)

    return write


def report(workspace, tmp_path):
    uri = report_run(workspace, RUN, str(tmp_path / "out"))
    rows = csv.DictReader(io.StringIO(read_bytes(uri).decode()))
    return [(row["id"], row["status"], row["run_id"]) for row in rows]


def test_a_log_returns_what_was_added(workspace):
    given = [result(2, facts={"x_note": "é", "strength": 0.5}), result(3, "failed", error="no")]
    with result_log(workspace) as log:
        for each in given:
            log.add(each)
        assert list(log) == given
        assert (log.tally.n_asked, log.tally.n_bad) == (2, 1)


def test_a_part_is_read_as_it_was_published(workspace, part):
    part("shard-000000", result(2), result(4, "failed"))
    assert [each.line for each in read_part(workspace, RUN, "shard-000000")] == [2, 4]
    forget_part(workspace, RUN, "shard-000000")
    assert list(read_part(workspace, RUN, "shard-000000")) == []


def test_the_report_merges_all_parts_by_line(workspace, part, tmp_path):
    part("shard-000002", result(3), result(6, "failed"))
    part("shard-000000", result(5), result(2))
    part(CATALOG, result(4, "skipped"))
    assert report(workspace, tmp_path) == [
        ("row-2", "ok", RUN),
        ("row-3", "ok", RUN),
        ("row-4", "skipped", RUN),
        ("row-5", "ok", RUN),
        ("row-6", "failed", RUN),
    ]


def test_a_shard_knows_its_rows_better_than_the_catalogue(workspace, part, tmp_path):
    part(CATALOG, result(2, "failed"), result(3))
    part("shard-000000", result(2))
    assert [status for _, status, _ in report(workspace, tmp_path)] == ["ok", "ok"]


def test_a_run_is_over_when_its_catalogue_has_reported(workspace, part):
    part("shard-000000", result(2))
    assert not is_over(workspace, RUN)
    part(CATALOG)
    assert is_over(workspace, RUN)


def test_no_run_leads_out_of_its_folder(workspace):
    with pytest.raises(ValueError, match="cannot name a folder"):
        is_over(workspace, "../../elsewhere")
