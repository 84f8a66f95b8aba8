"""A failing decoder, or a writer that changes a file, affects only that file."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from nst_core.audio.reading import read_audio, read_long_audio
from nst_core.checksum import sha256_of
from nst_core.config import AudioLimits
from nst_core.decoding.isolation import end_decoders
from nst_core.decoding.source import Source
from nst_core.errors import AudioError
from tests import bad_decoders

SR = 22_050
STRICT = AudioLimits(decoder_patience_s=5.0, max_decoder_bytes=1 << 28)
WAIT_S = 120.0


def tone(path, hz=440.0, duration_s=1.0):
    y = 0.3 * np.sin(2 * np.pi * hz * np.arange(round(duration_s * SR)) / SR)
    sf.write(path, y, SR)
    return path


def children(pid="self"):
    """Return the ids of the processes that a process has started."""
    found = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found |= set(map(int, (task / "children").read_text().split()))
    return found


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(holds):
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def good(tmp_path):
    return tone(tmp_path / "good.wav")


@pytest.fixture
def bad(tmp_path, monkeypatch):
    """Function that makes a file for which the decoder misbehaves in a given way."""
    bad_decoders.install(tmp_path / "modules", monkeypatch)
    yield lambda wish: bad_decoders.ask_for(tone(tmp_path / f"{wish}.wav"), wish)
    end_decoders()


@pytest.mark.parametrize(
    ("wish", "code", "reason"),
    [
        ("abort", "decoder_crashed", "SIGABRT"),
        ("loop", "decoder_stalled", "sent nothing for 5 s"),
        ("grow", "decoder_memory", "more than 256 MiB"),
        ("fail", "corrupt", "decoding failed after 0.00 s"),
        ("surprise", "decoder_crashed", "KeyError: 'a bug of its own'"),
    ],
)
def test_a_misbehaving_decoder_fails_only_its_file(bad, good, wish, code, reason):
    before = read_audio(good).y
    with pytest.raises(AudioError, match=f"{wish}.wav: .*{reason}.*convert it") as caught:
        read_audio(bad(wish), limits=STRICT)
    assert caught.value.code == code
    np.testing.assert_array_equal(read_audio(good).y, before)


def test_files_that_are_read_at_the_same_time_are_not_affected(bad, good):
    whole = read_audio(good).y
    paths = [bad("abort"), good, bad("grow"), good, bad("surprise"), good, good]

    def read(path):
        try:
            return read_audio(path, limits=AudioLimits(max_decoder_bytes=1 << 28)).y
        except AudioError as error:
            return error.code

    with ThreadPoolExecutor(4) as pool:
        first, *found = pool.map(read, paths)
    assert [first, found[1], found[3]] == ["decoder_crashed", "decoder_memory", "decoder_crashed"]
    for y in (found[0], found[2], *found[4:]):
        np.testing.assert_array_equal(y, whole)


def test_a_decoder_knows_no_secret_of_its_parent(bad, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("PREFECT_API_KEY", "hush")
    with pytest.raises(AudioError, match="PYTHONPATH") as caught:
        read_audio(bad("tell"))
    assert "AWS" not in str(caught.value)
    assert "PREFECT" not in str(caught.value)


def test_files_are_read_side_by_side_and_few_decoders_stay(good):
    end_decoders()
    before = children()
    whole = read_audio(good).y
    with ThreadPoolExecutor(6) as pool:
        for audio in pool.map(read_audio, [good] * 12):
            np.testing.assert_array_equal(audio.y, whole)
    decoders = children() - before
    assert 1 <= len(decoders) <= 2
    assert all(os.getpgid(pid) != os.getpgrp() for pid in decoders), "Ctrl-C is for us alone"
    end_decoders()
    assert children() == before


_PARENT = """
import os, sys
from pathlib import Path
from nst_core.audio.reading import read_audio
from nst_core.config import AudioLimits

state, good, bad = sys.argv[1:]
read_audio(good)
(task,) = Path("/proc/self/task").glob(str(os.getpid()))
decoder = (task / "children").read_text()
if state.startswith("fork") and os.fork() == 0:
    if state == "fork that reads":
        assert len(read_audio(good).y) == 22_050
    print("the fork lives", flush=True)
    sys.stdin.read()
    os._exit(0)
assert len(read_audio(good).y) == 22_050
print(decoder, flush=True)
if state == "looping":
    read_audio(bad, limits=AudioLimits(decoder_patience_s=5.0))
sys.stdin.read()
"""


@pytest.mark.parametrize("state", ["idle", "looping", "fork", "fork that reads"])
def test_no_decoder_outlives_a_parent_that_is_killed(bad, good, state):
    """A fork of the parent, which has its own decoders, does not keep it alive either."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, state, good, bad("loop")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )
    with parent:
        lines = [parent.stdout.readline() for _ in range(2 if state.startswith("fork") else 1)]
        assert (b"the fork lives\n" in lines) == state.startswith("fork")
        decoder = next(int(line) for line in lines if line.strip().isdigit())
        assert is_alive(decoder)
        parent.send_signal(signal.SIGKILL)
        wait_until(lambda: not is_alive(decoder))


def _exchange(path, versions, way, stop):
    """Write both versions alternately and completely, until it must stop."""
    beside, rng = path.with_suffix(".new"), np.random.default_rng(0)
    while not stop.is_set():
        for data in versions:
            stop.wait(rng.uniform(0, 0.08))
            if way == "rename":
                beside.write_bytes(data)
                beside.replace(path)
            else:
                with path.open("r+b") as file:
                    file.write(data)


@pytest.mark.parametrize("way", ["rename", "in place"])
def test_the_decoded_bytes_are_the_hashed_bytes_even_if_the_file_changes(tmp_path, way):
    path = tone(tmp_path / "a.wav", 440.0, 60.0)
    digest, y = sha256_of(path), read_audio(path).y
    versions = [path.read_bytes(), tone(tmp_path / "b.wav", 880.0, 60.0).read_bytes()]
    stop = threading.Event()
    writer = threading.Thread(target=_exchange, args=(path, versions, way, stop))
    writer.start()
    outcomes = []
    try:
        while len(outcomes) < 50 or len(set(outcomes)) < 2:
            try:
                found = read_long_audio(path, sha256=digest).y[:]
            except AudioError as error:
                outcomes.append(error.code)
            else:
                outcomes.append("ok")
                np.testing.assert_array_equal(found, y)
            assert len(outcomes) < 5000
    finally:
        stop.set()
        writer.join()
    assert set(outcomes) == {"ok", "changed"}


def test_a_long_file_that_is_rewritten_after_it_was_hashed_is_refused(tmp_path):
    n_bytes = 40 << 20
    path = tmp_path / "long"
    path.write_bytes(bytes(n_bytes))
    with path.open("r+b") as file:
        source = Source(file.fileno(), "long")
        assert source.identify(lambda: None) == sha256_of(path)
        late = n_bytes - 100
        assert source.read_at(late, 100) == bytes(100)
        os.pwrite(file.fileno(), b"x", late)
        os.pwrite(file.fileno(), b"x", 5)
        assert source.read_at(0, 10) == bytes(10), "the kept bytes are the hashed bytes"
        assert source.open().read(10) == bytes(10)
        source.check()
        assert source.read_at(late, 100) == b""
        with pytest.raises(AudioError, match="changed while it was read"):
            source.check()


def test_bytes_that_are_added_after_the_hash_are_not_read(tmp_path):
    path = tmp_path / "growing"
    path.write_bytes(b"abc")
    with path.open("r+b") as file:
        source = Source(file.fileno(), "growing")
        source.identify(lambda: None)
        os.pwrite(file.fileno(), b"defg", 3)
        assert source.open().read() == b"abc"
