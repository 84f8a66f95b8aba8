"""Real servers for tests: how each is started, with its own ports and folders."""

import json
import os
import pwd
import random
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import fsspec

from tasks.storage import s3

KEY, SECRET = "amnst-test", "amnst-test-secret"
WEED = Path(sys.executable).with_name("weed")
REDIS = Path("/usr/bin/redis-server")
_POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
POSTGRES = _POSTGRES[-1] if _POSTGRES else Path("/usr/lib/postgresql/bin/postgres")

PATIENCE_S = 900
"""Longest wait for a process, because a busy machine can stand still for minutes."""


def free_ports(count: int) -> list[int]:
    """Return free ports whose twin, 10,000 higher, is also free: SeaweedFS takes both."""
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


def weed_command(folder: Path, ports: list[int]) -> list[str]:
    """Return the command of SeaweedFS with an S3 interface at the first of four ports."""
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


def s3_environment(port: int) -> dict[str, str]:
    """Return the environment with which a client uses only that interface."""
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@contextmanager
def running_s3(folder: Path) -> Iterator[None]:
    """Run SeaweedFS, and point the S3 client of this process at it."""
    ports, before = free_ports(4), dict(os.environ)
    for name in [name for name in os.environ if name.startswith(("AWS_", "WEED_"))]:
        del os.environ[name]
    os.environ.update(s3_environment(ports[0]))
    s3._client.cache_clear()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            weed_command(folder, ports), stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
    try:
        _wait_until_ready(process, folder / "log")
        yield
    finally:
        process.kill()  # a polite stop takes 5 s, and nobody needs its data
        process.wait(15)
        for name in s3_environment(0):
            os.environ.pop(name, None)
        os.environ.update({k: v for k, v in before.items() if k.startswith(("AWS_", "WEED_"))})
        s3._client.cache_clear()


def new_bucket() -> str:
    """Create a bucket and return its URI."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    s3.client().call_s3("create_bucket", Bucket=name)
    return f"s3://{name}"


def _wait_until_ready(process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Return when a signed write works; an open port is not yet a server."""
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None, log.read_text(errors="replace")[-2000:]
        try:
            filesystem = fsspec.filesystem("s3", skip_instance_cache=True)
            filesystem.call_s3("create_bucket", Bucket=f"probe-{uuid.uuid4().hex[:8]}")
        except (OSError, *s3.failures()):
            assert time.monotonic() < deadline, log.read_text(errors="replace")[-2000:]
            time.sleep(0.2)
        else:
            return


def postgres_user() -> str | None:
    """PostgreSQL refuses to run as root."""
    if os.getuid():
        return None
    return next((each.pw_name for each in pwd.getpwall() if each.pw_name == "postgres"), "nobody")


def is_open(port: int) -> bool:
    """Return whether a program listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def web_server(*answers: tuple[int, str]) -> Iterator[str]:
    """Yield the URL of a web server with given answers; the last one is repeated."""
    left = list(answers)

    class Answer(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, text = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(text.encode())

        do_GET = do_HEAD = do_POST = do_DELETE = do_PATCH = answer  # noqa: N815  # the library's

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    web = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = Thread(target=web.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{web.server_port}"
    finally:
        web.shutdown()
        thread.join()
        web.server_close()
