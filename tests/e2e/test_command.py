"""The command as a user runs it: fresh processes, Prefect's own server, a real Ctrl-C."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from nst_core.audio import write_audio
from nst_core.cnn import build_classifier
from nst_core.config import ClassifierConfig, MelConfig
from nst_core.model import save_classifier
from nst_core.runtime import setup_tensorflow
from nst_core.synth import AMBIENCES, GENRES, ambience, music_piece

pytestmark = pytest.mark.e2e

SR = 22_050
AMNST = Path(sys.executable).with_name("amnst")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """Sounds, a manifest of eight pairs and a classifier that has learned nothing."""
    folder = tmp_path_factory.mktemp("workplace")
    for kind in AMBIENCES[:2]:
        write_audio(folder / f"{kind}.wav", ambience(kind, 3.0, seed=2), SR, format="wav")
    for genre in GENRES:
        write_audio(folder / f"{genre}.wav", music_piece(genre, 8.0, seed=2), SR, format="wav")
    pairs = [f"{kind}.wav,{genre}.wav" for kind in AMBIENCES[:2] for genre in GENRES]
    (folder / "manifest.csv").write_text("\n".join(["ambience,music", *pairs, ""]), "utf-8")
    setup_tensorflow(2)
    small, mel = ClassifierConfig(n_filters=16, n_layers=1), MelConfig()
    network = build_classifier(small, n_mels=mel.n_mels, n_classes=len(GENRES))
    with warnings.catch_warnings():
        # Keras and NumPy 2 have not agreed on how an array is copied.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        save_classifier(
            network, folder / "small.weights.h5", genres=GENRES, architecture=small, mel=mel,
            facts={},
        )  # fmt: skip
    return folder


def start(folder):
    """Start `amnst render --json` as a process group of its own, as a shell does."""
    keep = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH")
    environment = {name: os.environ[name] for name in keep if name in os.environ}
    environment |= {
        "AMNST_STORE_URI": "store",
        "AMNST_SCRATCH": str(folder / "scratch"),
        "PREFECT_HOME": str(folder / "prefect"),
    }
    command = [AMNST, "render", "manifest.csv", "--output", "out", "--json"]
    return subprocess.Popen(
        [*command, "--model", "small.weights.h5"],
        cwd=folder, env=environment, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(process):
    """Exit code, stdout and stderr of a process, which must end by itself."""
    try:
        out, err = process.communicate(timeout=240)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        pytest.fail(f"the command hangs; on stderr:\n{err}")
    return process.returncode, out, err


def statuses(out):
    return [json.loads(line)["status"] for line in out.splitlines()]


def outputs(folder):
    return {path: path.stat().st_mtime_ns for path in (folder / "out").glob("*.wav")}


@pytest.fixture(scope="module")
def interrupted(workplace):
    """A render that gets Ctrl-C, twice, when its first output is there: what it leaves behind."""
    process = start(workplace)
    deadline = time.monotonic() + 240
    while not outputs(workplace):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline, "no output after four minutes"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.3)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
    code, out, err = finish(process)
    report = (workplace / "out" / "results.csv").read_text("utf-8")
    hidden = list(workplace.rglob(".tmp-*"))
    return code, out, err, report, outputs(workplace), hidden


def test_an_interrupted_render_ends_with_130_and_says_how_to_go_on(interrupted):
    code, out, err, *_ = interrupted
    assert (code, out) == (130, "")
    assert "interrupted; run the same command to go on" in err
    assert " of 8 pairs failed or were not run: " in err
    assert "results.csv" in err
    assert "Traceback" not in err


def test_an_interrupted_render_leaves_a_report_of_what_was_not_run(interrupted):
    rows = list(csv.DictReader(io.StringIO(interrupted[3])))
    done = {Path(row["output"]).name for row in rows if row["status"] == "ok"}
    assert len(rows) == 2 * len(GENRES)
    assert {row["status"] for row in rows} == {"ok", "not_run"}
    assert done == {path.name for path in interrupted[4]}


def test_an_interrupted_render_leaves_no_half_written_file(interrupted):
    *_, hidden = interrupted
    assert hidden == []


@pytest.fixture(scope="module")
def resumed(workplace, interrupted):
    """The same command once more: exit code, stdout and stderr."""
    return finish(start(workplace))


def test_the_next_run_completes_and_keeps_what_was_done(resumed, interrupted, workplace):
    code, out, err = resumed
    before, after = interrupted[4], outputs(workplace)
    assert code == 0, err
    assert set(statuses(out)) == {"ok", "cached"}
    assert len(after) == 2 * len(GENRES)
    assert {path: after[path] for path in before} == before


def test_a_user_who_did_not_ask_for_it_sees_nothing_of_prefect(resumed):
    assert "render pairs" in resumed[2]
    assert "flow run" not in resumed[2]
    assert "temporary server" not in resumed[2]


def test_a_finished_render_in_a_new_process_is_served_from_the_cache(resumed, workplace):
    before = outputs(workplace)
    code, out, err = finish(start(workplace))
    assert code == 0, err
    assert statuses(out) == ["cached"] * 2 * len(GENRES)
    assert outputs(workplace) == before
