"""Settings: what the environment decides, and what it cannot."""

import os
import tempfile
from pathlib import Path

import pytest
from pydantic import ValidationError

from flows.server.environment import prepare_prefect
from flows.settings import Settings


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for name in [name for name in os.environ if name.startswith("AMNST_")]:
        monkeypatch.delenv(name)


def test_the_environment_reaches_the_tasks(monkeypatch):
    monkeypatch.setenv("AMNST_STORE_URI", "s3://bucket/store")
    monkeypatch.setenv("AMNST_SCRATCH", "/fast/disk")
    monkeypatch.setenv("AMNST_N_THREADS", "7")
    workspace = Settings().workspace()
    assert workspace.store_uri == "s3://bucket/store"
    assert workspace.scratch == "/fast/disk"
    assert workspace.n_threads == 7


def test_without_an_environment_the_store_is_in_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    workspace = Settings().workspace()
    assert Path(workspace.store_uri) == tmp_path / ".cache" / "amnst" / "store"
    assert workspace.n_threads == len(os.sched_getaffinity(0))


def test_scratch_is_on_a_disk_unless_another_temporary_folder_is_named(monkeypatch, tmp_path):
    monkeypatch.delenv("TMPDIR", raising=False)
    assert Path(Settings().scratch).parent == Path("/var/tmp")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)  # as in a new process
    assert Path(Settings().scratch).parent == tmp_path


def test_scratch_folders_of_two_users_are_two(monkeypatch):
    mine = Settings().scratch
    monkeypatch.setattr(os, "getuid", lambda: os.geteuid() + 1)
    assert Settings().scratch != mine


@pytest.mark.parametrize("value", ["0", "-1", "many"])
def test_an_impossible_number_of_threads_is_refused(monkeypatch, value):
    monkeypatch.setenv("AMNST_N_THREADS", value)
    with pytest.raises(ValidationError, match="n_threads"):
        Settings()


def test_prefects_results_are_kept_as_json_for_the_cache(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "environ", {"PREFECT_HOME": str(tmp_path)})
    prepare_prefect(verbose=False)
    assert os.environ["PREFECT_RESULTS_PERSIST_BY_DEFAULT"] == "true"
    assert os.environ["PREFECT_RESULTS_DEFAULT_SERIALIZER"] == "json"


def test_what_the_user_has_set_of_prefect_stays(monkeypatch, tmp_path):
    set_by_user = {
        "PREFECT_HOME": str(tmp_path),
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING",
    }
    monkeypatch.setattr(os, "environ", set_by_user)
    prepare_prefect(verbose=True)
    assert os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] == "WARNING"
