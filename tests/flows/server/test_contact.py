"""Every command finds its server, or explains within seconds and in one line why not."""

import socket
from contextlib import contextmanager

import httpx
import pytest
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_CLIENT_CSRF_SUPPORT_ENABLED,
    get_current_settings,
    temporary_settings,
)

from flows.server import waiting
from flows.server.connection import ServerError
from flows.server.contact import first_contact
from flows.server.runs import read_run
from flows.server.waiting import Pace
from tests.command_line import main
from tests.servers import web_server

RUN = "6d1f8d0c-1c6d-4a53-9a5e-0a4d8f3d8f7e"
COMMANDS = {
    "render": ["render", "MANIFEST", "--output", "OUT"],
    "train": ["train", "DATASET", "--output", "OUT"],
    "submit": ["submit", "MANIFEST", "--output", "OUT"],
    "retry": ["retry", RUN],
    "cancel": ["cancel", RUN],
    "schedule": ["schedule", "MANIFEST", "--output", "OUT", "--cron", "0 3 * * *"],
    "schedules": ["schedules"],
    "unschedule": ["unschedule", "nightly"],
    "deploy": ["deploy"],
    "worker": ["worker", "--pool", "gpu"],
}


@contextmanager
def named(url):
    with temporary_settings({PREFECT_API_URL: url}):
        yield


@contextmanager
def answering(*answers):
    with web_server(*answers) as url, named(f"{url}/api"):
        yield url


@pytest.fixture(scope="module")
def closed_port():
    """A port of this machine at which no program listens or can start to listen."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def arguments(inputs, tmp_path):
    """Arguments of a command, with a valid manifest."""
    (inputs / "contact.csv").write_text("ambience,music\nrain.wav,folk.wav\n", "utf-8")
    places = {
        "MANIFEST": str(inputs / "contact.csv"),
        "DATASET": str(inputs),
        "OUT": str(tmp_path / "out"),
    }
    return lambda command: [places.get(word, word) for word in COMMANDS[command]]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_says_in_a_line_that_its_server_is_away(command, arguments, closed_port, capsys):
    with named(f"http://127.0.0.1:{closed_port}/api"), pytest.raises(SystemExit) as caught:
        main(arguments(command))
    *stages, line = capsys.readouterr().err.splitlines()
    assert caught.value.code == 2
    assert [each for each in stages if not each.startswith("- ")] == []
    assert line.startswith(f"amnst: http://127.0.0.1:{closed_port}/api does not answer")
    assert line.endswith("[server_away]")


@pytest.mark.parametrize("command", ["render", "worker"])
def test_a_command_says_in_a_line_that_its_server_refuses_the_login(command, arguments, capsys):
    with answering((401, '{"exception_message":"Unauthorized"}')):
        with pytest.raises(SystemExit) as caught:
            main(arguments(command))
    *stages, line = capsys.readouterr().err.splitlines()
    assert caught.value.code == 2
    assert [each for each in stages if not each.startswith("- ")] == []
    assert "PREFECT_API_AUTH_STRING" in line
    assert line.endswith("[unauthorized]")


def test_the_doctor_names_a_server_that_is_away_as_a_fault(
    closed_port, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("AMNST_STORE_URI", str(tmp_path / "store"))
    with named(f"http://127.0.0.1:{closed_port}/api"), pytest.raises(SystemExit) as caught:
        main(["doctor"])
    out, err = capsys.readouterr()
    assert caught.value.code == 1
    assert "fault    server: http://127.0.0.1" in out
    assert err.startswith("1 of ")


def test_wait_reports_an_unreachable_server_and_keeps_waiting(completed, monkeypatch, capsys):
    monkeypatch.setattr(waiting, "CALM", Pace(poll_s=0.05))
    run = read_run(completed).model_dump_json()
    with (
        answering(*[(500, "restarting")] * 3, (200, run)),
        temporary_settings({PREFECT_CLIENT_CSRF_SUPPORT_ENABLED: False}),  # the run is no token
        pytest.raises(SystemExit) as caught,
    ):
        main(["wait", completed])
    err = capsys.readouterr().err
    assert caught.value.code == 0
    assert err.count("fails: 500 restarting; see its log [server_away]; waiting for it") == 1


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        ((200, '"4.0.1"'), "other_version", "is Prefect 4.0.1"),
        ((200, "<html>a web site</html>"), "not_prefect", "not the API of a Prefect server"),
        ((200, '{"version": "3.8.8"}'), "not_prefect", "not the API of a Prefect server"),
        ((404, "not found"), "not_prefect", "not the API of a Prefect server"),
        ((401, "Unauthorized"), "unauthorized", "PREFECT_API_AUTH_STRING"),
        ((403, "no"), "refused", "403 no"),
        ((502, "bad gateway"), "server_away", "502 bad gateway"),
        ((503, "busy"), "server_away", "503 busy"),
    ],
)
def test_a_wrong_server_is_named_at_its_first_answer(answer, code, said):
    with answering(answer), pytest.raises(ServerError, match=said) as caught:
        first_contact()
    assert caught.value.code == code


def test_an_address_without_api_is_named_as_such():
    with web_server((200, "<html>")) as url, named(url):
        with pytest.raises(ServerError, match="it ends with /api"):
            first_contact()


@pytest.mark.parametrize("url", ["localhost:4200/api", "http://127.0.0.1:port/api", "ftp://x/api"])
def test_an_invalid_address_is_refused(url):
    with named(url), pytest.raises(ServerError) as caught:
        first_contact()
    assert caught.value.code == "bad_url"


def test_an_older_server_is_warned_of_and_used(capsys):
    with answering((200, '"3.0.0"')):
        first_contact()
    assert capsys.readouterr().err.endswith("[older_server]\n")


def test_a_working_server_is_not_mentioned(prefect, capsys):
    first_contact()
    assert capsys.readouterr().err == ""


def test_the_login_is_sent(prefect):
    """The test harness's own server asks for no login, so another server records what it gets."""
    url = get_current_settings().api.url
    with temporary_settings({PREFECT_API_AUTH_STRING: "amnst:secret", PREFECT_API_URL: url}):
        first_contact()


def test_a_server_that_accepts_but_does_not_answer_is_given_up(capsys):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/api"
        with named(url), pytest.raises(ServerError, match="does not answer") as caught:
            first_contact(patience=httpx.Timeout(0.5), long_s=0.01)
    assert caught.value.code == "server_away"
    assert capsys.readouterr().err == f"waiting for the Prefect server {url}\n"
