"""A complete installation on PostgreSQL, Redis and S3."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import fsspec

from tasks.storage.s3 import failures
from tests.e2e.cluster import Cluster, until
from tests.servers import (
    POSTGRES,
    REDIS,
    free_ports,
    is_open,
    postgres_user,
    s3_environment,
    weed_command,
)


class Installation(Cluster):
    """Server on PostgreSQL and Redis, store on S3, one worker for shards."""

    def __init__(
        self, folder: Path, s3_ports: list[int], ports: list[int], environment: Mapping[str, str]
    ) -> None:
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
                **environment,
            },
        )

    @property
    def database_arguments(self) -> tuple[str, ...]:
        """Return arguments for PostgreSQL's own programs."""
        return ("-h", "127.0.0.1", "-p", str(self.postgres_port), "-U", "amnst", "postgres")

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
            except (OSError, *failures()):  # it is not up yet
                return False
            return True

        until(made, timeout_s=60, what="SeaweedFS")

    def records(self, stage: str) -> dict[str, int]:
        found = self.s3().find(f"{self.bucket}/store/results/{stage}", detail=True)
        return {name: entry["LastModified"] for name, entry in found.items()}


@contextmanager
def installed(
    folder: Path, *, environment: Mapping[str, str] | None = None
) -> Iterator[Installation]:
    """All servers, the deployments, and a worker for catalogues."""
    home = Path(tempfile.mkdtemp(prefix="amnst-postgres-"))  # pytest's own folders are closed
    user = postgres_user()
    if user:
        shutil.chown(home, user)
    ports = free_ports(6)
    ours = Installation(folder, ports[:4], ports[4:], environment or {})
    ours.environment["PGDATA"] = str(home / "data")
    try:
        initdb = (POSTGRES.with_name("initdb"), "-D", home / "data", "-U", "amnst", "--auth=trust")
        subprocess.run(initdb, user=user, check=True, capture_output=True, cwd=home)
        ours.start_postgres()
        ours.start_redis()
        ours.start_s3()
        ours.make_bucket()
        ours.begin()
        yield ours
    finally:
        ours.stop()
        shutil.rmtree(home, ignore_errors=True)
