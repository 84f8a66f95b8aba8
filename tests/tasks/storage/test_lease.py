"""Who may write into an output folder, even if runs are killed or frozen, on disk and on S3."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from tasks.storage import files, lease
from tasks.storage.errors import StorageError
from tasks.storage.lease import Claim, hold
from tasks.storage.uris import join
from tasks.storage.writer_record import FOLDER, Writer

N_TAKERS = 8
HOLDER = """
import sys
from tasks.storage import process
from tasks.storage.lease import hold
from tasks.storage.writer_record import Writer

folder, lease_s, machine, shared = sys.argv[1:]
if machine:
    process._machine = lambda: machine
writer = Writer(run_id="first", name="night", url="http://server/runs/1", shared=bool(shared))
with hold(folder, writer, lease_s=float(lease_s)) as held:
    print("holds", flush=True)
    sys.stdin.readline()
    held.claim.check()
print("left", flush=True)
"""


class Holder:
    """A process that holds a folder until it is told to continue."""

    def __init__(self, folder, *, lease_s=600.0, machine="", shared=""):
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, folder, str(lease_s), machine, shared],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout.readline() == "holds\n", self.process.communicate()[1]

    def signal(self, number):
        self.process.send_signal(number)

    def go_on(self):
        """Let it check its claim and leave; return stdout and stderr."""
        return self.process.communicate("\n", timeout=120)


@pytest.fixture
def start_holder():
    holders = []

    def start(*arguments, **options):
        holders.append(Holder(*arguments, **options))
        return holders[-1]

    yield start
    for holder in holders:
        holder.process.kill()
        holder.process.communicate()


@pytest.fixture
def folder(tmp_path):
    """An output folder on a disk, for tests that do not concern S3."""
    return str(tmp_path / "out")


def second(run_id="second", **fields):
    return Writer(run_id=run_id, name="day", **fields)


def records(folder):
    return files.list_files(join(folder, FOLDER))


def takes(folder, **options):
    """Return whether another run gets the folder now."""
    try:
        with hold(folder, second(), **options):
            return True
    except StorageError as error:
        if error.code != "output_in_use":
            raise
        return False


def race(folder):
    """Return how many of eight runs get a folder at once, and how many are refused."""
    barrier, over = Event(), Event()

    def take(number):
        barrier.wait()
        try:
            with hold(folder, second(f"run{number}")) as held:
                over.wait(120)
                held.claim.check()
        except StorageError as error:
            return error.code
        return "wrote"

    with ThreadPoolExecutor(N_TAKERS) as pool:
        ends = [pool.submit(take, number) for number in range(N_TAKERS)]
        barrier.set()
        deadline = time.monotonic() + 100
        while sum(end.done() for end in ends) < N_TAKERS - 1 and time.monotonic() < deadline:
            time.sleep(0.05)
        over.set()
        codes = sorted(end.result() for end in ends)
    assert records(folder) == []
    return codes


ONE_WINS = ["output_in_use"] * (N_TAKERS - 1) + ["wrote"]


def test_one_of_eight_runs_gets_a_free_folder(root_uri):
    assert race(root_uri) == ONE_WINS


def test_one_of_eight_runs_takes_over_from_a_dead_one(root_uri, start_holder):
    holder = start_holder(root_uri)
    holder.signal(signal.SIGKILL)
    holder.process.wait(60)
    assert len(records(root_uri)) == 1
    assert race(root_uri) == ONE_WINS


def test_one_of_eight_runs_writes_where_the_server_ignores_if_none_match(weak_bucket):
    codes = race(f"{weak_bucket}/out")
    assert codes.count("wrote") == 1
    assert set(codes) <= {"wrote", "output_in_use", "lease_lost"}


def test_a_second_run_is_refused_and_learns_who_writes_and_what_to_do(root_uri, start_holder):
    holder = start_holder(root_uri)
    with pytest.raises(StorageError) as caught, hold(root_uri, second()):
        pytest.fail("two runs have one folder")
    message = str(caught.value)
    assert caught.value.code == "output_in_use"
    assert not caught.value.transient
    for part in (
        root_uri, 'run "night" (http://server/runs/1)', f"process {holder.process.pid} on ",
        "since 20", "--output", "wait",
    ):  # fmt: skip
        assert part in message
    assert holder.go_on() == ("left\n", "")
    assert takes(root_uri)


def test_a_run_that_ends_leaves_nothing_behind(root_uri, tmp_path):
    with hold(root_uri, second()):
        assert len(records(root_uri)) == 1
        assert files.list_files(root_uri) == [], "users do not see it"
    assert records(root_uri) == []
    assert list(tmp_path.rglob(FOLDER)) == []


def test_a_run_whose_process_was_killed_on_this_machine_loses_its_folder_at_once(
    folder, start_holder
):
    holder = start_holder(folder, lease_s=10_000.0)
    holder.signal(signal.SIGKILL)  # and not waited for: it stays a zombie
    while Path(f"/proc/{holder.process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)
    assert takes(folder)


def test_a_run_of_another_machine_is_believed_alive_while_it_renews(folder, start_holder):
    holder = start_holder(folder, lease_s=20.0, machine="elsewhere")
    assert not takes(folder)
    assert holder.go_on() == ("left\n", "")


def test_a_dead_run_of_another_machine_keeps_its_folder_until_its_lease_expires(
    root_uri, start_holder, caplog
):
    holder = start_holder(root_uri, lease_s=3.0, machine="elsewhere")
    holder.signal(signal.SIGKILL)
    started = time.monotonic()
    assert takes(root_uri, lease_s=0.5)
    assert time.monotonic() - started >= 3.0
    assert "may be dead; waiting up to 3 s to find out" in caplog.text


def test_a_run_of_many_processes_is_not_dead_when_one_of_them_is(folder, start_holder):
    holder = start_holder(folder, lease_s=600.0, shared="yes")
    with hold(folder, Writer(run_id="first", name="night", shared=True), lease_s=20.0):
        holder.signal(signal.SIGKILL)
        holder.process.wait(60)
        assert not takes(folder)


def test_a_frozen_run_finds_that_another_run_took_its_folder(root_uri, start_holder):
    holder = start_holder(root_uri, lease_s=2.0, machine="elsewhere")
    holder.signal(signal.SIGSTOP)
    with hold(root_uri, second()) as held:
        holder.signal(signal.SIGCONT)
        out, err = holder.go_on()
        held.claim.check()
    assert out == ""
    assert "StorageError" in err
    assert "has lost the folder" in err
    assert records(root_uri) == []


def test_a_run_that_slept_through_another_run_has_lost(folder, start_holder):
    holder = start_holder(folder, lease_s=2.0, machine="elsewhere")
    holder.signal(signal.SIGSTOP)
    assert takes(folder)
    holder.signal(signal.SIGCONT)
    out, err = holder.go_on()
    assert out == ""
    assert "its record is gone" in err
    assert records(folder) == []


def test_a_run_whose_record_is_overwritten_finds_out(folder):
    """This happens on a server that ignores If-None-Match."""
    with hold(folder, second()) as held:
        (record,) = records(folder)
        other = json.loads(files.read_bytes(record.uri))
        other["writer"]["run_id"] = "third"
        files.write_bytes(record.uri, json.dumps(other).encode())
        with pytest.raises(StorageError, match="has lost the folder") as caught:
            held.claim.check()
        assert caught.value.code == "lease_lost"
    assert len(records(folder)) == 1, "it is not ours to remove"


def test_nothing_is_published_once_the_folder_is_lost(root_uri, tmp_path):
    sound, place = tmp_path / "sound", join(root_uri, "a.wav")
    sound.write_bytes(b"sound")
    with pytest.raises(StorageError) as caught:
        files.publish(sound, place, before=Claim(root_uri, "second").check)
    assert caught.value.code == "lease_lost"
    assert files.describe(place) is None
    assert list(tmp_path.rglob(".tmp-*")) == []


def test_a_second_process_of_a_run_joins_in_and_the_last_one_removes_the_record(root_uri):
    of_run = Writer(run_id="first", name="night", shared=True)
    with hold(root_uri, of_run, lease_s=0.5) as first:
        with hold(root_uri, of_run, lease_s=600.0):
            first.claim.check()
        assert len(records(root_uri)) == 1, "the first one needs it"
        first.claim.check()
        time.sleep(1.0)  # until the second one has not been seen for the time of the lease
    assert records(root_uri) == []


def test_a_process_that_knows_that_all_others_have_ended_removes_the_record(root_uri):
    """This happens in a catalogue whose shards were the last to renew it."""
    of_run = Writer(run_id="first", name="night", shared=True)
    with hold(root_uri, of_run) as catalogue:
        with hold(root_uri, of_run):
            pass
        catalogue.forget_others()
    assert records(root_uri) == []


def test_the_next_process_of_a_run_takes_a_record_that_the_last_one_left(folder):
    of_run = Writer(run_id="first", name="night", shared=True)
    with hold(folder, of_run) as first, hold(folder, of_run):
        pass
    assert len(records(folder)) == 1, "neither knew that the other one ended"
    with hold(folder, of_run) as first:
        first.claim.check()
        first.forget_others()
    assert records(folder) == []


def test_an_unreadable_record_is_taken_over_when_it_stays_the_same(folder, monkeypatch):
    monkeypatch.setattr(lease, "LEASE_S", 1.0)
    for number, data in enumerate((b"no json", b"[1]", b'{"writer": {}}'), start=1):
        files.write_bytes(join(folder, FOLDER, f"{number:06d}.json"), data)
    assert takes(folder)
    assert records(folder) == []


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("no folder", "utf-8")
    with pytest.raises(StorageError, match="cannot"), hold(str(tmp_path / "file"), second()):
        pytest.fail("a file is not a folder")


def test_two_names_of_one_folder_are_one_folder(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "out")
    with hold(str(tmp_path / "out") + "/", second("first")):
        assert not takes(str(tmp_path / "link"))
        assert not takes(os.path.relpath(tmp_path / "out"))
