"""`amnst serve` and `amnst worker` say why they do not start."""

import socket
import subprocess
import sys
from contextlib import suppress

import pytest

from deployments.local_server import Address
from tests.command_line import main
from tests.servers import PATIENCE_S
from tests.serving import AMNST


@pytest.mark.e2e
def test_a_server_that_cannot_start_says_why(serve_env, free_port, tmp_path):
    (tmp_path / "file").write_text("", "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", AMNST, "serve", "--port", str(free_port())],
        env=serve_env | {"PREFECT_HOME": str(tmp_path / "file" / "prefect")}, timeout=180,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert "file/prefect: Not a directory" in done.stderr
    assert "[bad_home]" in done.stderr


def test_a_server_on_a_full_disk_says_so_and_leaves_no_half_login(
    free_port, small_disk, capsys, monkeypatch
):
    filler = small_disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(1 << 12))
    monkeypatch.setenv("PREFECT_HOME", str(small_disk / "prefect"))
    with pytest.raises(SystemExit) as caught:
        main(["serve", "--port", str(free_port())])
    assert caught.value.code == 3
    assert f"PREFECT_HOME {small_disk}/prefect: No space left on device" in capsys.readouterr().err
    assert {path.name for path in (small_disk / "prefect").iterdir()} <= {
        "amnst-serve.lock", "amnst-serve.log", "amnst-serve.log.1",
    }  # fmt: skip


@pytest.mark.e2e
def test_a_server_that_does_not_start_says_why_in_a_line(serve_env, free_port, tmp_path):
    (tmp_path / "prefect").mkdir()
    (tmp_path / "prefect" / "prefect.db").write_text("this is no database\n" * 1000, "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", AMNST, "serve", "--port", str(free_port())],
        env=serve_env | {"PREFECT_HOME": str(tmp_path / "prefect")}, timeout=180,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    starting, *_, reason = done.stderr.splitlines()  # between them a line every ten seconds
    assert starting.startswith("starting the Prefect server")
    assert "file is not a database" in reason
    assert str(tmp_path / "prefect") in reason
    assert reason.endswith("[server_ended]")


def test_no_other_program_can_take_the_port_while_the_server_starts(free_port):
    """Otherwise another user's program there would receive the login."""
    address = Address(free_port())
    with address.listen(), socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", address.port))


def test_a_server_without_a_worker_is_refused_before_it_starts(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["serve", "--workers", "0"])
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert "--workers" in out + err
    assert "starting" not in out + err


@pytest.mark.e2e
def test_an_open_server_says_so_and_is_refused_to_other_machines(serve_env, free_port, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", AMNST, "serve", "--no-auth", "--allow-host", "prefect.example.org"],
        env=serve_env | {"PREFECT_HOME": str(tmp_path / "prefect")}, timeout=180,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "[no_auth_elsewhere]" in done.stderr


def test_a_worker_without_a_server_ends_at_once_and_says_why(serve_env, free_port):
    done = subprocess.run(
        [sys.executable, "-c", AMNST, "worker", "--pool", "gpu"],
        env=serve_env | {"PREFECT_API_URL": Address(free_port()).api}, timeout=PATIENCE_S,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.endswith("[server_away]\n")
    assert "Traceback" not in done.stderr
