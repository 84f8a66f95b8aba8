"""Runs on a Prefect server, seen from outside."""

from uuid import uuid4

import pytest
from prefect import flow

from flows.cli import main
from flows.runs import ServerError, read_run, report_of, retry


@flow(name="well")
def well():
    """End Completed."""


@pytest.fixture(scope="module")
def completed():
    """The id of a flow run that is Completed."""
    return str(well(return_state=True).state_details.flow_run_id)


def test_a_completed_run_is_not_started_again_and_the_way_out_is_named(completed):
    with pytest.raises(ServerError, match=r"is Completed.*amnst submit.*--force") as caught:
        retry(completed)
    assert caught.value.code == "completed"
    run = read_run(completed)
    assert run.state.is_completed()
    assert run.run_count == 1


def run_of(state):
    return read_run(str(state.state_details.flow_run_id))


def test_the_report_of_a_catalogue_is_in_its_output_folder(rendered):
    run = run_of(rendered.render())
    assert report_of(run) == f"{rendered.output}/results.csv"


def test_a_shard_has_its_catalogues_report(rendered):
    run = run_of(rendered.render())
    shard = {"catalog_run_id": str(run.id), "request": run.parameters["request"]}
    of_shard = run.model_copy(update={"id": uuid4(), "parameters": {"shard": shard}})
    assert report_of(of_shard) == f"{rendered.output}/results.csv"


def test_a_catalogue_that_was_refused_and_another_flow_have_no_report(rendered, completed):
    rendered.rows = [dict(rendered.rows[0], strength="7")]
    assert report_of(run_of(rendered.render())) is None
    assert report_of(read_run(completed)) is None


def test_the_command_ends_with_2_for_a_completed_run(completed, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["retry", completed, "--wait"])
    assert caught.value.code == 2
    assert "[completed]" in capsys.readouterr().err
