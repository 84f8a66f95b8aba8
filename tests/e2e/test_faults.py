"""What an installation survives: PostgreSQL, Redis, S3, server and workers, each killed in turn.

After each fault every output is in place with the bytes its provenance claims, what was
made before stays, and no pair is delivered with two different contents.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import fsspec
import pytest

from tasks.s3 import FAILURES
from tests.e2e.cluster import Cluster, delivered, report, until
from tests.servers import (
    POSTGRES,
    REDIS,
    WEED,
    free_ports,
    is_open,
    postgres_user,
    s3_environment,
    weed_command,
)

pytestmark = pytest.mark.e2e


class Installation(Cluster):
    """Server on PostgreSQL and Redis, store on S3, one worker for shards."""

    def __init__(self, folder: Path, s3_ports: list[int], ports: list[int]) -> None:
        self.s3_ports, (self.postgres_port, self.redis_port) = s3_ports, ports
        self.bucket = "amnst"
        database = f"postgresql+asyncpg://amnst@127.0.0.1:{self.postgres_port}/postgres"
        super().__init__(
            folder,
            environment={
                **s3_environment(s3_ports[0]),
                "AMNST_STORE_URI": f"s3://{self.bucket}/store",
                "PREFECT_SERVER_DATABASE_CONNECTION_URL": database,
                "PREFECT_SERVER_EVENTS_MESSAGING_BROKER": "prefect_redis.messaging",
                "PREFECT_SERVER_EVENTS_MESSAGING_CACHE": "prefect_redis.messaging",
                "PREFECT_REDIS_MESSAGING_HOST": "127.0.0.1",
                "PREFECT_REDIS_MESSAGING_PORT": str(self.redis_port),
            },
        )

    def start_postgres(self) -> None:
        data = Path(self.environment["PGDATA"])
        arguments = ("-D", str(data), "-k", str(data), "-p", str(self.postgres_port))
        with (self.folder / "postgres.log").open("ab") as log:
            self.processes["postgres"] = subprocess.Popen(
                [POSTGRES, *arguments, "-h", "127.0.0.1"],
                user=postgres_user(),
                stdout=log,
                stderr=log,
            )
        until(lambda: is_open(self.postgres_port), timeout_s=30, what="PostgreSQL")

    def start_redis(self) -> None:
        arguments = ("--port", str(self.redis_port), "--bind", "127.0.0.1", "--save", "")
        self.spawn("redis", str(REDIS), *arguments)
        until(lambda: is_open(self.redis_port), timeout_s=30, what="Redis")

    def start_s3(self) -> None:
        folder = self.folder / "weed"
        folder.mkdir(exist_ok=True)
        self.spawn("s3", *weed_command(folder, self.s3_ports))

    def s3(self) -> fsspec.AbstractFileSystem:
        return fsspec.filesystem(
            "s3",
            skip_instance_cache=True,
            use_listings_cache=False,
            key=self.environment["AWS_ACCESS_KEY_ID"],
            secret=self.environment["AWS_SECRET_ACCESS_KEY"],
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
        )

    def make_bucket(self) -> None:
        def made() -> bool:
            try:
                self.s3().call_s3("create_bucket", Bucket=self.bucket)
            except (OSError, *FAILURES):  # it is not up yet
                return False
            return True

        until(made, timeout_s=60, what="SeaweedFS")

    def records(self, stage: str) -> dict[str, int]:
        found = self.s3().find(f"{self.bucket}/store/results/{stage}", detail=True)
        return {name: entry["LastModified"] for name, entry in found.items()}


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    for program in (POSTGRES, REDIS, WEED):
        if not program.is_file():
            pytest.skip(f"{program.name} is not installed")
    home = Path(tempfile.mkdtemp(prefix="amnst-postgres-"))  # pytest's own folders are closed
    user = postgres_user()
    if user:
        shutil.chown(home, user)
    ports = free_ports(6)
    ours = Installation(tmp_path_factory.mktemp("faults"), ports[:4], ports[4:])
    ours.environment["PGDATA"] = str(home / "data")
    try:
        initdb = (POSTGRES.with_name("initdb"), "-D", home / "data", "-U", "amnst", "--auth=trust")
        subprocess.run(initdb, user=user, check=True, capture_output=True, cwd=home)
        ours.start_postgres()
        ours.start_redis()
        ours.start_s3()
        ours.make_bucket()
        ours.start_server()
        done = ours.amnst("deploy")
        assert done.returncode == 0, done.stderr
        ours.start_worker("control", "control")
        yield ours
    finally:
        ours.stop()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def catalogue(installation, sounds, pairs, tmp_path):
    """A manifest of eight pairs with inputs no other test has seen."""
    inputs = tmp_path / "inputs"
    shutil.copytree(sounds, inputs)
    salt = os.urandom(64)
    for path in inputs.glob("*.wav"):
        data = bytearray(path.read_bytes())
        data[-64:] = bytes(byte & 0x0F for byte in salt)
        path.write_bytes(data)
    return pairs(inputs, 8), tmp_path / "output"


def under_way(installation, catalogue, n_made=2):
    """Submit a catalogue as one shard; return its run when some transfers are made."""
    manifest, output = catalogue
    before = len(installation.records("audio"))
    run_id = installation.submit(manifest, output, "--shard-size", 8)
    until(
        lambda: len(installation.records("audio")) >= before + n_made,
        timeout_s=180,
        what="the first pairs",
    )
    return run_id


def assert_all_is_well(run, output, n_pairs=8):
    assert run.state.is_completed(), run.state.message
    rows = report(output)
    assert len(rows) == n_pairs
    assert {row["status"] for row in rows.values()} <= {"ok", "cached"}
    claimed = delivered(output)
    for name, digest in claimed.items():
        assert hashlib.sha256((output / name).read_bytes()).hexdigest() == digest
    assert claimed == {f"{name}.wav": row["sha256"] for name, row in rows.items()}


def test_a_worker_of_another_version_renders_nothing(installation, catalogue, tmp_path):
    manifest, output = catalogue
    shim = tmp_path / "shim"
    shim.mkdir()
    shim.joinpath("sitecustomize.py").write_text(
        "import nst_core\nnst_core.__version__ = '0.0.0'\n"
    )
    before = installation.records("transfer")
    path = os.pathsep.join([str(shim), os.environ.get("PYTHONPATH", "")])
    installation.start_worker("old", PYTHONPATH=path)
    run_id = installation.submit(manifest, output)
    run = installation.wait(run_id)
    installation.kill("old")
    assert run.state.is_failed()
    assert "0.0.0" in report(output)["p00"]["error"]
    assert installation.records("transfer") == before
    installation.start_worker("gpu")
    assert installation.amnst("retry", run_id, "--wait").returncode == 0
    assert_all_is_well(installation.run(run_id), output)


def test_the_same_manifest_twice_at_once_is_rendered_to_the_same_bytes(installation, catalogue):
    manifest, output = catalogue
    installation.start_worker("second")
    runs = [installation.submit(manifest, output) for _ in range(2)]
    for run_id in runs:
        assert_all_is_well(installation.wait(run_id), output)
    installation.kill("second")


def test_s3_may_be_away_for_20_s(installation, catalogue):
    run_id = under_way(installation, catalogue)
    installation.kill("s3")
    time.sleep(20)
    installation.start_s3()
    assert_all_is_well(installation.wait(run_id), catalogue[1])


def test_the_server_may_be_killed_and_be_away_for_15_s(installation, catalogue):
    run_id = under_way(installation, catalogue)
    made = installation.records("transfer")
    installation.kill("server")
    time.sleep(15)
    installation.start_server()
    assert_all_is_well(installation.wait(run_id), catalogue[1])
    after = installation.records("transfer")
    assert {name: after[name] for name in made} == made


def test_postgresql_may_be_restarted(installation, catalogue):
    run_id = under_way(installation, catalogue)
    installation.processes["postgres"].send_signal(signal.SIGINT)  # a fast shutdown
    installation.processes.pop("postgres").wait(30)
    time.sleep(5)
    installation.start_postgres()
    assert_all_is_well(installation.wait(run_id), catalogue[1])


def test_a_worker_and_its_flow_may_be_killed(installation, catalogue):
    run_id = under_way(installation, catalogue)
    installation.kill("gpu")
    made = installation.records("transfer")
    installation.start_worker("gpu")
    run = installation.wait(run_id, timeout_s=420)
    assert_all_is_well(run, catalogue[1])
    after = installation.records("transfer")
    assert {name: after[name] for name in made} == made, "what was finished stays"
    (shard,) = installation.shards(run_id).values()
    assert shard.run_count == 2, "marked as crashed for want of a heartbeat, and started again"
