"""`amnst render`: its exit codes, its messages and its outputs."""

import json
import re
import shutil
import socket

import pytest

from tasks.storage import s3
from tests.bad_manifests import BAD_MANIFESTS, in_one_line


def test_a_failed_row_ends_with_1_and_says_which_and_why(render, catalogue):
    catalogue.rows = [*catalogue.rows, {"id": "late", "ambience": "gone.wav", "music": "folk.wav"}]
    catalogue.write()
    code, _, err = render()
    assert code == 1
    assert "1 of 4 pairs failed: late" in in_one_line(err)


def test_json_is_a_line_per_row_on_stdout_and_nothing_else(render, catalogue):
    code, out, _ = render("--json", "--limit", "2")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [(row["id"], row["status"]) for row in rows] == [
        ("rain-folk", "cached"), ("fire-folk", "cached"), ("rain-rock", "skipped"),
    ]  # fmt: skip


@pytest.mark.parametrize(("text", "wanted"), BAD_MANIFESTS.values(), ids=BAD_MANIFESTS)
def test_a_bad_manifest_ends_with_2_names_the_cell_and_renders_nothing(
    render, catalogue, text, wanted
):
    shutil.rmtree(catalogue.output)
    catalogue.manifest.write_text(text, "utf-8")
    code, out, err = render()
    assert (code, out) == (2, "")
    for part in wanted:
        assert part in in_one_line(err)
    assert "Traceback" not in err
    assert not catalogue.output.exists()


def test_skip_invalid_renders_the_good_rows_and_ends_with_1(render, catalogue):
    catalogue.rows = [{**catalogue.rows[0], "id": "loud", "strength": "7"}, *catalogue.rows]
    catalogue.write()
    shutil.rmtree(catalogue.output)
    code, _, err = render("--skip-invalid")
    assert code == 1
    assert "1 of 4 pairs failed: loud" in in_one_line(err)
    assert set(catalogue.made()) == {"rain-folk.wav", "fire-folk.wav", "rain-rock.wav"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--only", "rain-jazz"), "has the id rain-jazz"),
        (("--strength", "7"), "strength = 7.0 is outside 0..1"),
        (("--strength", "much"), "strength = 'much'"),
        (("--limit", "0"), "limit = 0"),
        (("--sample-rate", "5"), "sample_rate = 5"),
        (("--preset", "fake"), "preset 'fake' is not one of real, closed"),
        (("--format", "aiff"), "aiff"),
        (("--lowdness", "3"), "--lowdness"),
    ],
)
def test_a_wrong_option_ends_with_2_and_is_named(render, options, message):
    code, out, err = render(*options)
    assert (code, out) == (2, "")
    assert message in in_one_line(err)
    assert "Traceback" not in err


def test_a_wrong_setting_ends_with_2_and_is_named(render, monkeypatch):
    monkeypatch.setenv("AMNST_N_THREADS", "0")
    code, _, err = render()
    assert code == 2
    assert "AMNST_N_THREADS = '0'" in in_one_line(err)


def test_tampered_weights_end_with_4_and_are_named(render, catalogue, tmp_path):
    catalogue.model = shutil.copytree(catalogue.model, tmp_path / "tampered")
    with (catalogue.model / "small.weights.h5").open("ab") as stream:
        stream.write(b"\0")
    code, out, err = render()
    assert (code, out) == (4, "")
    assert "small.weights.h5: sha256" in in_one_line(err).replace("small. weights", "small.weights")


def test_a_missing_model_ends_with_4_and_is_named(render, catalogue, tmp_path):
    catalogue.model = tmp_path / "none.weights.h5"
    code, _, err = render()
    assert code == 4
    assert "none.weights.h5" in err


@pytest.mark.filterwarnings("ignore:Skipping nested container:UserWarning")
def test_weights_of_another_architecture_are_refused_by_name(render, catalogue, tmp_path):
    catalogue.model = shutil.copytree(catalogue.model, tmp_path / "foreign")
    card = catalogue.model / "small.json"
    facts = json.loads(card.read_text("utf-8"))
    facts["architecture"]["n_filters"] *= 2
    card.write_text(json.dumps(facts), "utf-8")
    code, _, err = render("--force", "--only", "rain-folk")
    assert code == 4
    assert "model_architecture" in err
    assert "small.weights.h5" in in_one_line(err)


def test_a_store_that_cannot_be_used_ends_with_3_and_is_named(render, tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("no folder", "utf-8")
    monkeypatch.setenv("AMNST_STORE_URI", str(file / "store"))
    code, out, err = render()
    assert (code, out) == (3, "")
    assert "Not a directory" in in_one_line(err)
    assert str(file / "store") in re.sub(r"\s", "", err)


def test_a_store_that_does_not_answer_ends_with_3(render, monkeypatch):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("AMNST_STORE_URI", "s3://bucket/store")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret")
    monkeypatch.setattr("tasks.running.retry.DELAYS_S", [0.1])  # instead of four minutes
    s3._client.cache_clear()
    try:
        code, out, err = render()
    finally:
        s3._client.cache_clear()
    assert (code, out) == (3, "")
    assert "s3://bucket/store" in re.sub(r"\s", "", err)
    assert "the-secret" not in err
