"""Display at a terminal and in a log file."""

import contextlib
import os
import pty
import re
import time
from contextlib import contextmanager

import pytest

from flows.cli.pulse import Pace, in_words
from flows.cli.screen import Screen, waiting, working
from tests.servers import PATIENCE_S


def test_what_is_said_counts_the_pairs_that_are_over_and_names_the_pair_at_work():
    screen = Screen()
    screen.pairs(3)
    screen.pair("well", "ok", "")
    screen.pair("late", "failed", "gone.wav does not exist")
    screen.pair("left", "not_run", "")
    screen.at_work("rain-folk")
    assert screen.line() == "2 of 3 pairs, at work: rain-folk"


def wait_for(capfd, text):
    said, give_up = "", time.monotonic() + PATIENCE_S
    while text not in said:
        assert time.monotonic() < give_up, said
        time.sleep(0.02)
        said += capfd.readouterr().err


def test_without_a_terminal_a_line_is_printed_now_and_then(capfd):
    screen = Screen(every_s=0.05)
    with screen.shown():
        screen.stage("start Prefect")
        wait_for(capfd, "  start Prefect: ")
        screen.stage("render pairs")
        screen.pairs(12)
        screen.at_work("rain-folk")
        wait_for(capfd, "  0 of 12 pairs, at work: rain-folk\n")


def test_a_waiting_command_prints_the_percentage_now_and_then(capfd):
    with waiting(every_s=0.05) as (_, show):
        show(42.0)
        wait_for(capfd, "waiting: 42 % of the pairs\n")


def test_long_work_is_not_silent_in_a_log_file(capfd):
    with working("rendering", every_s=0.05):
        wait_for(capfd, "rendering\n  rendering: 0 s until now\n")


@contextmanager
def terminal_as_stderr(monkeypatch):
    """Yield a function that reads what the terminal has got since the last reading.

    It is not a fixture, because pytest sets stderr again between a fixture and its test.
    """
    ours, terminal = pty.openpty()
    os.set_blocking(ours, False)
    monkeypatch.setenv("TERM", "xterm")

    def read():
        stream.flush()
        said = b""
        with contextlib.suppress(BlockingIOError):
            while True:  # a terminal gives a few kilobytes at a time
                said += os.read(ours, 100_000)
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said.decode(errors="replace"))

    with os.fdopen(terminal, "w") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        yield read
    os.close(ours)


def test_long_work_shows_its_seconds_on_a_terminal(monkeypatch):
    with terminal_as_stderr(monkeypatch) as read:
        said, give_up = "", time.monotonic() + PATIENCE_S
        with working("rendering"):
            while "rendering 0:00:01" not in said:
                assert time.monotonic() < give_up, said
                time.sleep(0.05)
                said += read()


def test_a_terminal_shows_the_pair_at_work_in_its_bar(monkeypatch):
    with terminal_as_stderr(monkeypatch) as read:
        screen = Screen()
        with screen.shown():
            screen.pairs(12)
            screen.at_work("rain-folk")
            screen.pair("rain-rock", "ok", "")
        said = read()
    assert "rain-folk" in said
    assert "1 of 12" in said


def test_the_time_left_is_told_from_the_third_pair_on():
    clock = [0.0]
    pace = Pace(lambda: clock[0])
    said = []
    for _ in range(4):
        pace.begin()
        clock[0] += 60.0
        pace.count()
        said.append(pace.left(5))
    assert said == ["", "", "about 5 min left", "about 5 min left"]
    assert pace.left(0) == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(20, "less than a minute left"), (90, "about 2 min left"), (10_800, "about 3 h left")],
)
def test_a_duration_is_rough(seconds, words):
    assert in_words(seconds) == words
