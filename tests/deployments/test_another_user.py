"""Another user of the machine has no access: tested with another uid."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from flows.server.home import private_prefect_home
from flows.server.login import lock_file, login_file, make_login, open_lock
from tests.servers import PATIENCE_S

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")

_AS_NOBODY = """
import base64, encodings.idna, http.client, json, os, sys  # all: later they cannot be read
port, login, *paths = sys.argv[1:]
os.setgroups([]); os.setgid(65534); os.setuid(65534)

def status(headers):
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=60)
    # Without this token nothing can be started or changed.
    connection.request("GET", "/api/csrf-token?client=page", headers=headers)
    return connection.getresponse().status

def is_readable(path):
    try:
        open(path, "rb").close()
    except PermissionError:
        return False
    return True

found = {path: is_readable(path) for path in paths}
if port != "0":
    basic = base64.b64encode(login.encode()).decode()
    found |= {"without": status({}), "with": status({"Authorization": f"Basic {basic}"})}
print(json.dumps(found))
"""


def as_another_user(*paths, port=0, login=""):
    """Return what uid 65534 can read of files and, with a port, gets from the server there."""
    command = [sys.executable, "-c", _AS_NOBODY, str(port), login, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    return json.loads(done.stdout)


@pytest.fixture
def open_folder():
    """A folder that everybody can enter, like a shared disk; pytest's own folder is private."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_only_the_owner_can_read_the_files_of_serve(open_folder, monkeypatch):
    readable = open_folder / "readable"
    readable.touch(mode=0o644)
    (open_folder / "home").mkdir(mode=0o755)
    database = open_folder / "home" / "prefect.db"
    database.touch(mode=0o644)
    monkeypatch.setenv("PREFECT_HOME", str(open_folder / "home"))
    assert as_another_user(database, readable) == {str(database): True, str(readable): True}
    home = private_prefect_home()
    make_login(home)
    with open_lock(home):
        ours = [database, login_file(home), lock_file(home)]
        seen = as_another_user(*ours, readable)
    assert seen == {str(path): False for path in ours} | {str(readable): True}


def test_the_server_lets_another_user_start_nothing_without_the_login(address, login):
    assert as_another_user(port=address.port, login=login) == {"without": 401, "with": 200}
