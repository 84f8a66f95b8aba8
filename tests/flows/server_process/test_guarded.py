"""Which requests reach Prefect's server, and when the server ends."""

import asyncio
import json
import socket
import subprocess
import sys

import httpx
import pytest
from starlette.responses import PlainTextResponse

from flows.server_process.guarded import Guard, own_hosts

HOSTS = (*own_hosts(4200), "prefect.example.org")


def ask(*headers, kind="http"):
    """Return the guard's messages for a connection; a single `through` if it accepts it."""
    sent = []

    async def prefect(scope, receive, send):
        await send({"type": "through"})

    async def send(message):
        sent.append(message)

    scope = {"type": kind, "headers": [(name.encode(), text.encode()) for name, text in headers]}
    asyncio.run(Guard(prefect, HOSTS)(scope, None, send))
    return sent


def status(*headers):
    start = ask(*headers)[0]
    return 200 if start["type"] == "through" else start["status"]


@pytest.mark.parametrize(
    "host", ["127.0.0.1:4200", "localhost:4200", "LocalHost:4200", "[::1]:4200", HOSTS[-1]]
)
def test_its_own_names_are_served(host):
    assert status(("host", host)) == 200


@pytest.mark.parametrize("port", [80, 4200])
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]"])
def test_a_client_that_leaves_out_the_default_port_is_served(name, port):
    async def prefect(scope, receive, send):
        await PlainTextResponse("through")(scope, receive, send)

    async def answer():
        way = httpx.ASGITransport(Guard(prefect, own_hosts(port)))
        async with httpx.AsyncClient(transport=way) as client:
            return await client.get(f"http://{name}:{port}/api/health")

    assert asyncio.run(answer()).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "evil.example:4200", "127.0.0.1", "127.0.0.1:4201", "localhost:4200.evil"],
)
def test_a_name_that_was_rebound_to_this_machine_is_refused(host):
    assert status(("host", host)) == 421


def test_no_host_and_two_hosts_are_refused():
    assert status() == 421
    assert status(("host", HOSTS[0]), ("host", "evil.example")) == 421


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "", "http://127.0.0.1:8000", "file://", "http://localhost"],
)
def test_a_page_of_another_origin_is_refused(origin):
    sent = ask(("host", HOSTS[0]), ("origin", origin))
    assert sent[0]["status"] == 403
    names = {name for name, _ in sent[0]["headers"]}
    assert not {name for name in names if name.startswith(b"access-control")}
    assert "may not use this server" in json.loads(sent[1]["body"])["detail"]


@pytest.mark.parametrize("origin", ["http://127.0.0.1:4200", "https://prefect.example.org"])
def test_its_own_pages_are_served(origin):
    assert status(("host", HOSTS[0]), ("origin", origin)) == 200


def test_one_foreign_origin_of_two_is_enough_to_refuse():
    assert status(("host", HOSTS[0]), ("origin", "http://" + HOSTS[0]), ("origin", "null")) == 403


def test_a_refused_websocket_is_closed():
    (sent,) = ask(("host", HOSTS[0]), ("origin", "http://evil.example"), kind="websocket")
    assert (sent["type"], sent["code"]) == ("websocket.close", 1008)
    (sent,) = ask(("host", "evil.example"), kind="websocket")
    assert sent["type"] == "websocket.close"


def test_the_servers_own_start_is_let_through():
    assert ask(kind="lifespan") == [{"type": "through"}]


def test_it_ends_with_its_stdin_even_while_it_starts(tmp_path, monkeypatch):
    """The process that has the other end may be killed at any moment."""
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "flows.server_process.guarded", "--end-with-stdin"),
                *("--port", str(port), "--fd", str(bound.fileno())),
            ],
            stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, pass_fds=[bound.fileno()],
        )  # fmt: skip
    _, err = process.communicate(timeout=180)  # which closes its stdin
    assert process.returncode in {0, 1}, err
    for word in ("Fatal Python error", "TypeError"):
        assert word not in err
