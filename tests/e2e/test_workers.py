"""Catalogues on workers: submitted, dropped, repaired from the command line and the UI."""

import os
import shutil
from pathlib import Path

import pytest

from tests.e2e.browser import CHROMIUM, log_in, page, press_retry
from tests.e2e.cluster import LOGIN, report, until

pytestmark = pytest.mark.e2e


@pytest.fixture
def inputs(sounds, tmp_path):
    folder = tmp_path / "inputs"
    shutil.copytree(sounds, folder)
    return folder


class Damaged:
    """A catalogue of 12 pairs over 3 shards, of which one input is damaged."""

    def __init__(self, cluster, inputs, pairs, output):
        self.cluster, self.output = cluster, output
        self.manifest = pairs(inputs, 12)
        self.damaged = inputs / "damaged.wav"
        self.damaged.write_text("this is no sound\n" * 100)
        self.whole = next(inputs.glob("rain.wav"))
        lines = self.manifest.read_text().splitlines()
        lines[6] = f"p05,damaged.wav,{lines[6].split(',')[2]}"
        self.manifest.write_text("\n".join([*lines, ""]))

    def submit(self):
        """Run `amnst submit --wait`."""
        options = ("--output", self.output, "--shard-size", "4", "--wait")
        return self.cluster.amnst("submit", self.manifest, *options)

    def render(self):
        return self.cluster.run(self.submit().stdout.strip())

    def repair(self):
        # Bytes that no other test uses, so its transfer is not in the store.
        data = bytearray(self.whole.read_bytes())
        data[-64:] = bytes(byte & 0x0F for byte in os.urandom(64))
        self.damaged.write_bytes(data)


@pytest.fixture
def damaged(cluster, inputs, pairs, tmp_path):
    return Damaged(cluster, inputs, pairs, tmp_path / "output")


def assert_one_pair_was_made(cluster, before, output):
    after = cluster.records("transfer")
    assert {name: after[name] for name in before} == before, "finished results stay"
    assert len(after) == len(before) + 1
    rows = report(output)
    assert len(rows) == 12
    assert {row["status"] for row in rows.values()} <= {"ok", "cached"}
    assert rows["p05"]["status"] == "ok"
    assert len(list(output.glob("*.wav"))) == 12


@pytest.mark.slow
def test_a_damaged_input_fails_shard_and_catalogue_and_a_retry_renders_only_it(cluster, damaged):
    submitted = damaged.submit()
    run = cluster.run(submitted.stdout.strip())
    assert submitted.returncode == 1
    assert submitted.stderr.endswith(
        f"Failed: {run.state.message}\nreport: {damaged.output}/results.csv\n"
        f"listen: {damaged.output}/index.html\n"
        f"fix the problem, then: amnst retry {run.id}\n"
    )
    assert "\n- p05: " in run.state.message
    assert run.state.is_failed()
    assert run.state.message.startswith("1 of 12 pairs failed: p05;")
    shards = cluster.shards(str(run.id))
    assert sorted(shard.state.name for shard in shards.values()) == [
        "Completed",
        "Completed",
        "Failed",
    ]
    rows = report(damaged.output)
    assert (rows["p05"]["status"], rows["p05"]["error_code"]) == ("failed", "not_audio")
    assert list(rows) == sorted(rows)

    before = cluster.records("transfer")
    damaged.repair()
    done = cluster.amnst("retry", run.id, "--wait")
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith(
        f"\nreport: {damaged.output}/results.csv\nlisten: {damaged.output}/index.html\n"
    )
    assert cluster.run(str(run.id)).state.is_completed()
    again = cluster.shards(str(run.id))
    assert len(again) == 3, "no shard was started again"
    assert {name for name in again if again[name].run_count > 1} == {
        name for name in shards if shards[name].state.is_failed()
    }
    assert_one_pair_was_made(cluster, before, damaged.output)

    finished = damaged.render()
    assert finished.state.message == "12 pairs: 0 rendered, 12 already done"
    assert cluster.shards(str(finished.id)) == {}, "nothing is left to start one for"


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.is_file(), reason="Chromium is not installed")
@pytest.mark.parametrize("pressed_on", ["shard", "catalogue"])
def test_retry_in_the_ui_renders_only_the_failed_pair(cluster, damaged, pressed_on, tmp_path):
    catalogue = damaged.render()
    (shard,) = [s for s in cluster.shards(str(catalogue.id)).values() if s.state.is_failed()]
    before = cluster.records("transfer")
    damaged.repair()
    run_id = str(shard.id if pressed_on == "shard" else catalogue.id)
    with page() as ui:
        log_in(ui, cluster.ui, LOGIN)
        press_retry(ui, cluster.ui, run_id, picture=tmp_path / f"{pressed_on}.png")
    assert cluster.wait(run_id).state.is_completed()
    assert cluster.run(run_id).run_count == 2
    assert_one_pair_was_made(cluster, before, damaged.output)


@pytest.mark.slow
def test_a_dropped_manifest_is_rendered_once_and_reported(cluster, inputs, pairs, tmp_path):
    manifest, output = pairs(inputs, 2), tmp_path / "output"
    (inputs / "broken.csv").write_text("ambience;music\nrain.wav;folk.wav\n")
    request = {"inbox": str(inputs), "output": str(output), "settle_s": 0}
    before = len(cluster.runs())

    def watch():
        deployment = "watch-inbox/render-new-manifests"
        run = cluster.wait(cluster.start(deployment, {"request": request}, name="look"))
        assert run.state.is_completed(), run.state.message

    watch()
    until(
        lambda: watch() or Path(f"{manifest}.done.json").is_file(),
        timeout_s=240,
        what="the manifest's end",
    )
    rendered = [run for run in cluster.runs()[before:] if run.name != "look"]
    assert len([run for run in rendered if "-shard-" not in run.name]) == 1
    assert len(Path(f"{manifest}.results.csv").read_text().splitlines()) == 3
    assert "separated by semicolons" in Path(f"{inputs}/broken.csv.errors.txt").read_text()
    assert not Path(f"{inputs}/broken.csv.done.json").exists()
