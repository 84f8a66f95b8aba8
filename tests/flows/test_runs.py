"""Runs on a Prefect server, seen from outside."""

import pytest
from prefect import flow

from flows.cli import main
from flows.runs import ServerError, read_run, retry


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


def test_the_command_ends_with_2_for_a_completed_run(completed, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["retry", completed, "--wait"])
    assert caught.value.code == 2
    assert "[completed]" in capsys.readouterr().err
