"""Messages for a server process that has ended."""

import subprocess
import sys

import pytest

from flows.server_process.log import ServerLog, reason_in
from tests.servers import PATIENCE_S

NEWER = """\
ERROR:    Traceback (most recent call last):
  File "alembic/script/base.py", line 1, in _catch_revision_errors
    yield
alembic.script.revision.ResolutionError: No such revision or branch 'ffffffffffff'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "starlette/routing.py", line 661, in lifespan
alembic.util.exc.CommandError: Can't locate revision identified by 'ffffffffffff'

ERROR:    Application startup failed. Exiting.
"""
DAMAGED = """\
sqlite3.DatabaseError: database disk image is malformed

sqlalchemy.exc.DatabaseError: (sqlite3.DatabaseError) database disk image is malformed
[SQL: PRAGMA journal_mode = WAL;]
(Background on this error at: https://sqlalche.me/e/20/4xp6)

ERROR:    Application startup failed. Exiting.
"""


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (NEWER, "Can't locate revision identified by 'ffffffffffff'"),
        (DAMAGED, "database disk image is malformed"),
        ("ModuleNotFoundError: No module named 'flows'\n", "No module named 'flows'"),
        ("ERROR:    [Errno 98] address in use\n\n", "[Errno 98] address in use"),
        ("/usr/bin/python: No module named flows\n", "/usr/bin/python: No module named flows"),
        ("", "it logged nothing"),
    ],
)
def test_the_line_that_helps_is_found(log, reason):
    assert reason_in(log.splitlines(keepends=True)) == reason


def run(code):
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)


def test_a_log_is_held_back_until_it_is_asked_for(capfd):
    process = run("import sys; sys.stderr.write('one\\ntwo\\n')")
    log = ServerLog(process)
    process.wait(timeout=PATIENCE_S)
    assert log.last_words() == "two"
    assert capfd.readouterr().err == ""
    log.pass_on()
    assert capfd.readouterr().err == "one\ntwo\n"
    process.stderr.close()


def test_a_server_that_prints_much_is_not_blocked():
    process = run("import sys; [sys.stderr.write('x' * 999 + '\\n') for _ in range(5000)]")
    log = ServerLog(process)
    assert process.wait(timeout=PATIENCE_S) == 0
    assert log.last_words() == "x" * 300
    process.stderr.close()
