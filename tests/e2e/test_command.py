"""The command as a user runs it: new processes, Prefect's own server, a real Ctrl-C."""

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

from nst_core.audio.writing import write_audio
from nst_core.classifier.network import build_classifier
from nst_core.classifier.saving import save_classifier
from nst_core.config import ClassifierConfig, MelConfig
from nst_core.runtime.tensorflow_setup import setup_tensorflow
from nst_core.synth.sounds import AMBIENCES, GENRES, ambience, music_piece

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
        # Keras and NumPy 2 disagree on how an array is copied.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        save_classifier(
            network, folder / "small.weights.h5", genres=GENRES, architecture=small, mel=mel,
            facts={},
        )  # fmt: skip
    return folder


def start(folder, manifest="manifest.csv", *options, output="out"):
    """Start `amnst render --json` as a process group of its own, as a shell does.

    Each output has a store, so that none finds the pairs of another done.
    """
    keep = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH")
    environment = {name: os.environ[name] for name in keep if name in os.environ}
    environment |= {
        "AMNST_STORE_URI": f"store-of-{output}",
        "AMNST_SCRATCH": str(folder / "scratch"),
        "PREFECT_HOME": str(folder / "prefect"),
        # A proxy as on a company's machine; the server is still local.
        "HTTP_PROXY": "http://127.0.0.1:9",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
    }
    command = [AMNST, "render", manifest, "--output", output, "--json", *options]
    return subprocess.Popen(
        [*command, "--model", "small.weights.h5"],
        cwd=folder, env=environment, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(process):
    """Return exit code, stdout and stderr of a process, which must end without a signal."""
    try:
        out, err = process.communicate(timeout=240)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        pytest.fail(f"the command hangs; on stderr:\n{err}")
    return process.returncode, out, err


def statuses(out):
    return [json.loads(line)["status"] for line in out.splitlines()]


def outputs(folder, output="out"):
    return {path: path.stat().st_mtime_ns for path in (folder / output).glob("*.wav")}


def wait_for_an_output(process, folder, output="out"):
    deadline = time.monotonic() + 240
    while not outputs(folder, output):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline, "no output after four minutes"
        time.sleep(0.02)


def server_of(process):
    """Process id of a render's temporary server."""
    found = subprocess.run(
        ["pgrep", "-P", str(process.pid), "-f", "flows.server_process.guarded"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return int(found.stdout)


def is_gone(pid):
    """Wait until a process has ended without a signal."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        state = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout
        if not state or state.startswith("Z"):  # nobody may be there to reap it
            return True
        time.sleep(0.1)
    return False


@pytest.fixture(scope="module")
def killed(workplace):
    """Kill a render while it computes; return whether its server and its folder are gone."""
    process = start(workplace, output="killed")
    wait_for_an_output(process, workplace, "killed")
    server = server_of(process)
    folders = [each for each in (workplace / "prefect" / "temporary").iterdir() if each.is_dir()]
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return is_gone(server), folders


def test_a_killed_render_leaves_no_server_behind(killed):
    assert killed[0]


@pytest.fixture(scope="module")
def terminated(workplace):
    """A render that gets SIGTERM twice, as `timeout` sends it: its end, and what it leaves."""
    process = start(workplace, output="terminated")
    wait_for_an_output(process, workplace, "terminated")
    server = server_of(process)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    code, out, err = finish(process)
    report = (workplace / "terminated" / "results.csv").read_text("utf-8")
    return code, out, err, report, is_gone(server)


def test_sigterm_ends_a_render_as_ctrl_c_does(terminated):
    code, out, err, report, server_is_gone = terminated
    assert (code, out) == (143, "")
    assert "interrupted; run the same command to continue" in err
    assert " of 8 pairs not run; " in err
    assert "Traceback" not in err
    rows = list(csv.DictReader(io.StringIO(report)))
    assert len(rows) == 2 * len(GENRES)
    assert "not_run" in {row["status"] for row in rows}
    assert server_is_gone


def test_the_folder_of_a_killed_renders_server_is_removed_by_the_next(killed, interrupted):
    (left,) = killed[1]
    assert not left.exists()


@pytest.fixture(scope="module")
def interrupted(workplace):
    """A render that gets Ctrl-C, twice, when its first output is there: what it leaves behind."""
    process = start(workplace)
    wait_for_an_output(process, workplace)
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.3)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
    code, out, err = finish(process)
    report = (workplace / "out" / "results.csv").read_text("utf-8")
    hidden = [
        each for name in ("out", "store-of-out") for each in (workplace / name).rglob(".tmp-*")
    ]
    return code, out, err, report, outputs(workplace), hidden


def test_an_interrupted_render_ends_with_130_and_says_how_to_continue(interrupted):
    code, out, err, *_ = interrupted
    assert (code, out) == (130, "")
    assert "interrupted; run the same command to continue" in err
    assert " of 8 pairs not run; " in err
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
    """The same command again: exit code, stdout and stderr."""
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


def test_a_password_in_a_cell_is_in_nothing_that_a_render_leaves_behind(resumed, workplace):
    secret = "Zx9SecretQ7"
    cells = (f"s3://user:{secret}@bucket/x.wav", f"s3://user:pa/{secret}@bucket/x.wav")
    music = f"{GENRES[0]}.wav"
    rows = [f"{cell},{music}," for cell in cells]
    good = f"{AMBIENCES[0]}.wav,{music},see https://me:{secret}@host/?X-Amz-Signature={secret}"
    manifest = workplace / "secret.csv"
    manifest.write_text("\n".join(["ambience,music,note", good, *rows, ""]), "utf-8")
    code, out, err = finish(start(workplace, manifest.name, "--skip-invalid", "--verbose"))
    assert code == 1, err
    assert statuses(out) == ["cached", "invalid", "invalid"]
    assert secret not in out + err
    files = {path for path in workplace.rglob("*") if path.is_file()} - {manifest}
    assert [path for path in files if secret.encode() in path.read_bytes()] == []
