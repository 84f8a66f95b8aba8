"""Messages for a Prefect server that is unreachable, fails or refuses."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest
from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_SERVER_ALLOW_EPHEMERAL_MODE,
    temporary_settings,
)

from flows.requests import RenderRequest
from flows.server.connection import ServerError
from flows.server.runs import read_run, submit
from flows.server.schedules import schedules, unschedule
from flows.server.waiting import Pace, wait_for
from tests.command_line import main
from tests.servers import web_server

RUN = str(uuid4())
PREFECT_MAY_START_ONE = {PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: True}
"""As outside of the tests, which forbid it: tests/conftest.py."""
REQUEST = RenderRequest(manifest="s3://b/m.csv", output="s3://b/out")


@contextmanager
def answering(*answers: tuple[int, str]) -> Iterator[None]:
    """A web server instead of Prefect's, with given answers; the last one is repeated."""
    with web_server(*answers) as url, temporary_settings({PREFECT_API_URL: f"{url}/api"}):
        yield


@pytest.mark.parametrize(
    "ask",
    [lambda: read_run(RUN), lambda: submit(REQUEST), schedules, lambda: unschedule("nightly")],
    ids=["read_run", "submit", "schedules", "unschedule"],
)
def test_without_a_server_none_is_started(ask):
    before = dict(SubprocessASGIServer._instances)
    with (
        temporary_settings(PREFECT_MAY_START_ONE, restore_defaults={PREFECT_API_URL}),
        pytest.raises(ServerError, match="set PREFECT_API_URL") as caught,
    ):
        ask()
    assert caught.value.code == "no_server"
    assert SubprocessASGIServer._instances == before


@pytest.mark.parametrize("command", [["deploy"], ["deploy", "--dry-run"], ["schedules"]])
def test_a_command_that_needs_a_server_ends_with_2_without_one(command, capsys):
    before = dict(SubprocessASGIServer._instances)
    with (
        temporary_settings(PREFECT_MAY_START_ONE, restore_defaults={PREFECT_API_URL}),
        pytest.raises(SystemExit) as caught,
    ):
        main(command)
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert (out, err.rpartition("[")[2]) == ("", "no_server]\n")
    assert SubprocessASGIServer._instances == before


@pytest.mark.parametrize(
    ("status", "code"), [(500, "server_away"), (403, "refused"), (404, "not_found")]
)
def test_a_servers_answer_is_reported_with_its_code(status, code):
    with answering((status, "no")), pytest.raises(ServerError) as caught:
        read_run(RUN)
    assert caught.value.code == code


@pytest.mark.parametrize("command", [["deploy"], ["unschedule", "nightly"], ["submit", "m.csv"]])
@pytest.mark.parametrize(("status", "code"), [(500, "server_away"), (403, "refused")])
def test_a_command_says_what_a_server_answers_and_ends_with_2(command, status, code, capsys):
    options = ["--output", "out"] if command[0] == "submit" else []
    with answering((status, "no")), pytest.raises(SystemExit) as caught:
        main([*command, *options])
    assert caught.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith("amnst: http://127.0.0.1")
    assert err.endswith(f"[{code}]\n")


def test_a_deployment_to_a_server_that_does_not_answer_says_so(capsys):
    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}),
        pytest.raises(SystemExit) as caught,
    ):
        main(["deploy"])
    assert caught.value.code == 2
    assert capsys.readouterr().err.endswith("[server_away]\n")


def test_waiting_survives_a_server_that_fails(completed):
    answer = read_run(completed).model_dump_json()
    warnings = []
    with answering((500, "restarting"), (500, "restarting"), (200, answer)):
        run, state = wait_for(completed, warnings.append, pytest.fail, pace=Pace(poll_s=0.05))
    assert str(run.id) == completed
    assert state.is_completed()
    (warning,) = warnings
    assert "500 restarting" in warning
    assert warning.endswith("waiting for it")
