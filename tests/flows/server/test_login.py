"""Who gets the login of `amnst serve`, and who can read it."""

import fcntl
import os
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from flows.server.login import (
    LoginError,
    lock_file,
    log_in,
    login_file,
    make_login,
    open_lock,
    served_at,
)
from tests.servers import PATIENCE_S

ADDRESS = "http://127.0.0.1:4200"
AUTH = "PREFECT_API_AUTH_STRING"


@contextmanager
def serving(home, address=ADDRESS):
    """Hold the lock of a home, as the server of `amnst serve` does."""
    with open_lock(home) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(address)
        lock.flush()
        yield


@pytest.fixture
def served(tmp_path):
    """A home whose server runs, and its login."""
    login = make_login(tmp_path)
    with serving(tmp_path):
        yield tmp_path, login


def logged_in(home, url, **environment):
    environment |= {"PREFECT_API_URL": url}
    log_in(environment, home)
    return environment


def test_a_login_is_created_once_and_only_its_owner_can_read_it(tmp_path):
    login = make_login(tmp_path)
    assert make_login(tmp_path) == login
    assert login.startswith("amnst:")
    assert len(login) > 40
    assert stat.S_IMODE(login_file(tmp_path).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["amnst-login"], "nothing else is left"


def test_two_homes_have_two_logins(tmp_path):
    (tmp_path / "other").mkdir()
    assert make_login(tmp_path) != make_login(tmp_path / "other")


def test_a_login_that_others_can_read_is_refused_with_a_way_out(tmp_path):
    make_login(tmp_path)
    login_file(tmp_path).chmod(0o644)
    with pytest.raises(LoginError, match="delete it") as caught:
        make_login(tmp_path)
    assert caught.value.code == "login_exposed"
    assert "0644" in str(caught.value)


def test_a_command_for_the_homes_own_server_is_logged_in(served):
    home, login = served
    assert logged_in(home, f"{ADDRESS}/api")[AUTH] == login


def test_localhost_becomes_the_address_that_the_server_listens_at(served):
    home, login = served
    found = logged_in(home, "http://localhost:4200/api")
    assert found == {"PREFECT_API_URL": f"{ADDRESS}/api", AUTH: login}


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:4300/api",
        "http://[::1]:4200/api",
        "http://server:4200/api",
        "http://127.0.0.1.evil.test:4200/api",
        "http://127.0.0.1:4200@evil.test/api",
        "http://evil.test:4200/127.0.0.1:4200",
        "https://127.0.0.1:4200/api",
        "http://127.0.0.1/api",
        "http://127.0.0.1:none/api",
    ],
)
def test_no_other_server_gets_the_login(served, url):
    home, _ = served
    assert logged_in(home, url) == {"PREFECT_API_URL": url}


def test_a_login_that_the_user_has_set_stays(served):
    home, _ = served
    assert logged_in(home, f"{ADDRESS}/api", **{AUTH: "mine:own"})[AUTH] == "mine:own"


def test_a_program_that_listens_there_after_the_server_has_ended_gets_no_login(tmp_path):
    make_login(tmp_path)
    with serving(tmp_path):
        assert served_at(tmp_path) == ADDRESS
    assert lock_file(tmp_path).read_text() == ADDRESS
    assert served_at(tmp_path) is None
    assert AUTH not in logged_in(tmp_path, f"{ADDRESS}/api")


@pytest.mark.parametrize("rights", [0o644, 0o620, 0o602])
def test_a_lock_that_others_can_hold_or_change_names_no_server(served, rights):
    home, _ = served
    lock_file(home).chmod(rights)
    assert served_at(home) is None
    assert AUTH not in logged_in(home, f"{ADDRESS}/api")


def test_only_its_owner_can_open_the_lock_file(tmp_path):
    lock_file(tmp_path).touch(mode=0o644)  # as earlier versions made it
    with open_lock(tmp_path):
        assert stat.S_IMODE(lock_file(tmp_path).stat().st_mode) == 0o600


def test_a_home_without_a_server_or_a_login_changes_nothing(tmp_path):
    assert AUTH not in logged_in(tmp_path / "none", f"{ADDRESS}/api")
    with serving(tmp_path):
        assert AUTH not in logged_in(tmp_path, f"{ADDRESS}/api")


def test_a_command_finds_the_login_before_it_imports_prefect(served):
    home, login = served
    code = (
        "from flows.server.environment import prepare_prefect\n"
        "prepare_prefect(verbose=False)\n"
        "from prefect.settings import get_current_settings as now\n"
        "print(now().api.auth_string.get_secret_value())\n"
    )
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    here = {"PREFECT_HOME": str(home), "PREFECT_API_URL": f"{ADDRESS}/api"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=kept | here, capture_output=True, text=True,
        timeout=PATIENCE_S,
        check=False, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert done.stdout.strip() == login, done.stderr
