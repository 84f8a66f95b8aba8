import socket
import subprocess
import sys

import pytest
from prefect.states import Completed, Failed

from nst_core.errors import AudioError, ConfigError
from tasks.files import StorageError, describe, read_bytes
from tasks.retry import is_transient, retry_transient


@pytest.mark.parametrize(
    "error",
    [
        StorageError("s3://b/k", "read", "slow down", transient=True),
        ConnectionResetError("peer"),
        TimeoutError("late"),
    ],
)
def test_what_may_pass_is_tried_again(error: BaseException) -> None:
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
def test_what_will_not_change_fails_at_once(error: BaseException) -> None:
    assert not is_transient(error)
    assert not retry_transient(None, None, Failed(data=error))


def test_a_state_without_an_exception_is_not_tried_again() -> None:
    assert not retry_transient(None, None, Completed(data=1))


def test_a_server_that_is_gone_is_transient_and_a_missing_file_is_not(tmp_path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    lines = [
        "from tasks import files, s3",
        "from tasks.retry import is_transient",
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
        "import sys, tasks.manifest, tasks.store, tasks.retry;"
        "print({'prefect', 'tensorflow', 's3fs', 'librosa'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "set()\n"
