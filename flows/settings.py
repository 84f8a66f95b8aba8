"""Settings from the environment, which is read only here."""

import os
import tempfile
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from tasks.running.workspace import Workspace


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _temporary_folder() -> Path:
    """Return TMPDIR, else a folder on disk: long pieces would fill a /tmp that is in memory."""
    on_disk = Path("/var/tmp")  # noqa: S108  # the folder in it is ours alone, or refused
    is_asked_for = "TMPDIR" in os.environ or not on_disk.is_dir()
    return Path(tempfile.gettempdir()) if is_asked_for else on_disk


def rates_file() -> Path:
    """Return the file with the times of earlier pairs, in the user's folder for such state."""
    try:
        state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    except RuntimeError:  # a container's user may have no home
        state = _temporary_folder() / f"amnst-{os.getuid()}"
    return Path(state) / "amnst" / "rates.jsonl"


class Settings(BaseSettings):
    """Settings of one process, from variables that begin with ``AMNST_``."""

    model_config = SettingsConfigDict(env_prefix="AMNST_", extra="forbid")

    store_uri: str = Field(
        default_factory=lambda: str(Path.home() / ".cache" / "amnst" / "store"),
        description="Artefact store: a folder or s3:// prefix that all workers share.",
    )
    scratch: str = Field(
        default_factory=lambda: str(_temporary_folder() / f"amnst-{os.getuid()}"),
        description="Folder on a local disk for downloads and temporary files.",
    )
    n_threads: int = Field(
        default_factory=_usable_cores,
        ge=1,
        description="Threads per operation: one and two give the same bytes, more may differ "
        "by rounding.",
    )
    shard_deployment: str = Field(
        default="",
        description="Deployment that renders shards, such as render-shard/render-rows; if empty, "
        "this process renders.",
    )

    def workspace(self) -> Workspace:
        """Return the values that tasks need."""
        return Workspace(self.store_uri, self.scratch, self.n_threads)
