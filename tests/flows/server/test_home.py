"""Place of Prefect's own files, and who can read them."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from flows.server.environment import prefect_home, prepare_prefect
from flows.server.home import HomeError, private_prefect_home
from tests.servers import PATIENCE_S


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PREFECT_HOME", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)


def test_by_default_it_is_a_folder_of_our_own(tmp_path):
    assert prefect_home() == tmp_path / ".local" / "share" / "amnst" / "prefect"


def test_it_follows_the_users_data_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert prefect_home() == Path("/data/amnst/prefect")
    monkeypatch.setenv("XDG_DATA_HOME", "relative")  # which the specification says to ignore
    assert prefect_home() == tmp_path / ".local" / "share" / "amnst" / "prefect"


def test_the_environment_decides(monkeypatch, tmp_path):
    monkeypatch.setenv("PREFECT_HOME", "~/mine")
    assert prefect_home() == tmp_path / "mine"
    prepare_prefect(verbose=False)
    assert os.environ["PREFECT_HOME"] == "~/mine"


def test_a_relative_home_is_relative_to_the_current_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFECT_HOME", "mine")
    assert private_prefect_home() == tmp_path / "mine"


def test_the_profile_of_another_project_names_no_server_of_ours(tmp_path):
    theirs = tmp_path / ".prefect"
    theirs.mkdir()
    url = "http://127.0.0.1:9/api"
    (theirs / "profiles.toml").write_text(
        f'active = "work"\n[profiles.work]\nPREFECT_API_URL = "{url}"\n', "utf-8"
    )
    code = (
        "from flows.server.environment import prepare_prefect\n"
        "prepare_prefect(verbose=False)\n"
        "from prefect.settings import get_current_settings as now\n"
        "print(now().home, now().api.url)\n"
    )
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", code], env=kept, capture_output=True, text=True, timeout=PATIENCE_S,
        check=False,
    )  # fmt: skip
    assert done.stdout.split() == [str(prefect_home()), "None"], done.stderr


def test_only_its_owner_can_read_it():
    home = private_prefect_home()
    assert home == prefect_home()
    assert mode(home) == 0o700


def test_a_home_that_others_can_read_is_closed_with_its_databases(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir(mode=0o755)
    for name in ("prefect.db", "prefect.db-wal"):
        (tmp_path / "home" / name).touch()
        (tmp_path / "home" / name).chmod(0o644)
    home = private_prefect_home()
    assert mode(home) == 0o700
    assert {mode(file) for file in home.iterdir()} == {0o600}


@pytest.mark.parametrize(("name", "rights"), [("tmp", 0o1777), (".", 0o755)])
def test_a_folder_that_others_need_is_refused_and_left_as_it_is(
    name, rights, tmp_path, monkeypatch
):
    """The second one is the user's whole home folder."""
    folder = tmp_path / name
    folder.mkdir(exist_ok=True)
    folder.chmod(rights)
    monkeypatch.setenv("PREFECT_HOME", str(folder))
    with pytest.raises(HomeError, match="other users can enter it") as caught:
        private_prefect_home()
    assert caught.value.code == "bad_home"
    assert mode(folder) == rights


def test_a_whole_home_folder_that_only_its_owner_can_enter_is_used(tmp_path, monkeypatch):
    tmp_path.chmod(0o700)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    assert private_prefect_home() == tmp_path


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused(tmp_path, monkeypatch):
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o700)
    os.chown(theirs, 65534, 65534)
    monkeypatch.setenv("PREFECT_HOME", str(theirs))
    with pytest.raises(HomeError, match="belongs to another user") as caught:
        private_prefect_home()
    assert caught.value.code == "bad_home"


def test_a_home_that_cannot_be_made_is_named_with_a_way_out(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(HomeError, match="set PREFECT_HOME to a folder") as caught:
        private_prefect_home()
    assert caught.value.code == "bad_home"
    assert str(tmp_path / "file" / "home") in str(caught.value)
