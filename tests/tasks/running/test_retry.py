import socket
import subprocess
import sys
from importlib import import_module
from pkgutil import iter_modules

import pytest
from prefect import Task
from prefect.states import Completed, Failed

import tasks
from nst_core.errors import AudioError, ConfigError
from tasks.running.retry import DELAYS_S, is_transient, patiently, retry_transient
from tasks.storage.errors import StorageError
from tasks.storage.files import describe, read_bytes


@pytest.mark.parametrize(
    "error",
    [
        StorageError("s3://b/k", "read", "slow down", transient=True),
        ConnectionResetError("peer"),
        TimeoutError("late"),
    ],
)
def test_a_temporary_error_is_retried(error: BaseException) -> None:
    assert is_transient(error)
    assert retry_transient(None, None, Failed(data=error))


@pytest.mark.parametrize(
    "error",
    [
        StorageError("s3://b/k", "read", "wrong bytes", code="corrupt_artefact"),
        AudioError("too_short", "a.wav", "lasts 0.10 s"),
        ConfigError("strength = 3"),
        ValueError("a bug"),
        FileNotFoundError("gone"),
    ],
)
def test_a_permanent_error_fails_at_once(error: BaseException) -> None:
    assert not is_transient(error)
    assert not retry_transient(None, None, Failed(data=error))


def test_a_state_without_an_exception_is_not_retried() -> None:
    assert not retry_transient(None, None, Completed(data=1))


@pytest.fixture
def waits(monkeypatch):
    """Durations of sleeps, without sleeping."""
    slept: list[float] = []
    monkeypatch.setattr("tasks.running.retry.time.sleep", slept.append)
    return slept


def test_a_flow_waits_for_a_store_that_comes_back(waits) -> None:
    answers = [ConnectionResetError("away"), TimeoutError("away"), "there"]

    def call() -> object:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert patiently(call) == "there"
    assert waits == DELAYS_S[:2]


def test_a_flow_waits_four_minutes_for_a_store_and_then_gives_up(waits) -> None:
    def call() -> None:
        raise ConnectionResetError("away")

    with pytest.raises(ConnectionResetError):
        patiently(call)
    assert 200 < sum(waits) < 240


def test_a_flow_does_not_wait_on_a_permanent_error(waits) -> None:
    def call() -> None:
        raise ConfigError("strength = 3")

    with pytest.raises(ConfigError):
        patiently(call)
    assert waits == []


def test_a_server_that_is_gone_is_transient_and_a_missing_file_is_not(tmp_path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    lines = [
        "from tasks.storage import files, s3",
        "from tasks.running.retry import is_transient",
        "s3._CONFIG['retries'] = {'max_attempts': 1}",
        "try:",
        "    files.describe('s3://bucket/a.wav')",
        "except files.StorageError as error:",
        "    print(is_transient(error), error)",
    ]
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "a-secret",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    result = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.startswith("True s3://bucket/a.wav: cannot look up")
    assert "a-secret" not in result.stdout + result.stderr
    assert describe(str(tmp_path / "gone")) is None
    with pytest.raises(StorageError) as caught:
        read_bytes(str(tmp_path / "gone"))
    assert not is_transient(caught.value)


def test_checking_a_manifest_needs_neither_prefect_nor_tensorflow() -> None:
    code = (
        "import sys, tasks.manifest.reading, tasks.storage.store, tasks.running.retry;"
        "print({'prefect', 'tensorflow', 's3fs', 'librosa'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "set()\n"


def _tasks() -> list[Task]:
    """Every Prefect task of the package."""
    modules = [import_module(f"tasks.{each.name}") for each in iter_modules(tasks.__path__)]
    found = [value for module in modules for value in vars(module).values()]
    return list({each.name: each for each in found if isinstance(each, Task)}.values())


@pytest.mark.parametrize("task", _tasks(), ids=lambda task: task.name)
def test_every_task_waits_for_a_store_that_is_away(task: Task) -> None:
    assert task.retries == len(DELAYS_S)
    assert task.retry_delay_seconds == DELAYS_S
    assert task.retry_condition_fn is retry_transient
