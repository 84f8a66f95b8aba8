"""Cost of a catalogue, faults that it survives, and its report."""

import shutil
import time
from collections import Counter
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import TaskRunFilter, TaskRunFilterFlowRunId
from prefect.client.schemas.sorting import TaskRunSort

from nst_core.decoding.isolation import end_decoders
from nst_core.errors import NSTError
from tasks.storage.errors import StorageError
from tests import bad_decoders
from tests.listeners import Recorder

BAD_ROWS = (
    {"id": "short", "ambience": "short.wav", "music": "folk.wav"},
    {"id": "gone", "ambience": "rain.wav", "music": "gone.wav"},
    {"id": "off", "ambience": "rain.wav", "music": "rock.wav", "enabled": "false"},
    {"id": "text", "ambience": "text.wav", "music": "folk.wav"},
    {"id": "loud", "ambience": "rain.wav", "music": "folk.wav", "strength": "7"},
)


def task_runs(state):
    """Return the task runs of a flow by name, each with its state."""
    wanted = TaskRunFilter(
        flow_run_id=TaskRunFilterFlowRunId(any_=[state.state_details.flow_run_id])
    )
    with get_client(sync_client=True) as client:
        found = client.read_task_runs(
            task_run_filter=wanted, sort=TaskRunSort.ID_DESC, limit=100, offset=0
        )
    return sorted((run.name, run.state_name) for run in found)


@pytest.fixture(scope="module")
def mixed(make_catalogue, finished, tmp_path_factory):
    """Valid rows between invalid ones, rendered with `skip_invalid`; the final state."""
    catalogue = make_catalogue(tmp_path_factory.mktemp("mixed") / "catalogue")
    good = finished.rows
    catalogue.rows = (*BAD_ROWS[:2], good[0], *BAD_ROWS[2:], good[1])
    catalogue.listener = Recorder()
    return catalogue, catalogue.render(skip_invalid=True)


def test_valid_rows_finish_despite_invalid_ones(mixed, finished):
    catalogue, _ = mixed
    assert set(catalogue.made()) == {"rain-folk.wav", "fire-folk.wav"}
    for name in catalogue.made():
        assert (catalogue.output / name).read_bytes() == (finished.output / name).read_bytes()


def test_flow_ends_failed_and_names_the_rows_that_did(mixed):
    _, state = mixed
    assert state.is_failed()
    bad = "4 of 6 pairs failed: short, gone, text, loud"
    sentence, *reasons = state.message.splitlines()
    assert sentence == f"{bad}; 2 rendered, 0 already done"
    assert [reason.partition(":")[0] for reason in reasons] == ["- short", "- gone", "- text"]
    assert "gone.wav: does not exist" in reasons[1]


def test_report_has_every_row_in_the_manifests_order(mixed):
    catalogue, _ = mixed
    report = catalogue.report()
    assert list(report["id"]) == [row["id"] for row in catalogue.rows]
    assert list(report["line"]) == list(range(2, 2 + len(catalogue.rows)))


def test_report_gives_the_status_of_each_row(mixed):
    report = mixed[0].report().set_index("id")
    columns = ["status", "stage", "error_code"]
    assert {name: tuple(row) for name, row in report[columns].iterrows()} == {
        "short": ("failed", "mels", "too_short"),
        "gone": ("failed", "inputs", "not_found"),
        "rain-folk": ("ok", "", ""),
        "off": ("skipped", "", ""),
        "text": ("failed", "mels", "not_audio"),
        "loud": ("invalid", "manifest", "bad_value"),
        "fire-folk": ("ok", "", ""),
    }


def test_report_gives_the_inputs_of_each_row(mixed):
    catalogue, _ = mixed
    report = catalogue.report()
    for column in ("ambience", "music"):
        named = [Path(cell).name for cell in report[column]]
        assert named == [row[column] for row in catalogue.rows]


def test_error_of_a_row_names_its_file_and_the_rule(mixed):
    errors = mixed[0].report().set_index("id")["error"]
    assert "short.wav" in errors["short"]
    assert "0.25 s" in errors["short"]
    assert "gone.wav: does not exist" in errors["gone"]
    assert "text.wav" in errors["text"]
    assert 'line 7, column "strength", value "7"' in errors["loud"]
    assert "outside 0..1" in errors["loud"]


def test_report_gives_path_and_hash_of_each_output(mixed, sha256_of):
    report = mixed[0].report().set_index("id")
    for name in ("rain-folk", "fire-folk"):
        output = Path(report.loc[name, "output"])
        assert output.parent == mixed[0].output
        assert sha256_of(output) == report.loc[name, "sha256"]


@pytest.fixture
def decoders(tmp_path, monkeypatch):
    """Decoders that misbehave if a file requests it."""
    bad_decoders.install(tmp_path / "modules", monkeypatch)
    yield
    end_decoders()


def test_a_file_that_kills_its_decoder_costs_its_rows_and_no_others(rendered, decoders):
    good = rendered.rows[0]
    for wish in ("abort", "grow"):
        shutil.copy(rendered.root / "inputs/rock.wav", rendered.root / f"inputs/{wish}.wav")
        bad_decoders.ask_for(rendered.root / f"inputs/{wish}.wav", wish)
    shutil.copy(rendered.root / "inputs/rock.wav", rendered.root / "inputs/other.wav")
    with (rendered.root / "inputs/other.wav").open("ab") as file:
        file.write(b"free\4\0\0\0good")
    rendered.rows = [
        good | {"id": name, "music": f"{name}.wav"} for name in ("abort", "other", "grow")
    ]
    assert rendered.render().is_failed()
    report = rendered.report().set_index("id")
    assert list(report["status"]) == ["failed", "ok", "failed"]
    assert list(report["error_code"]) == ["decoder_crashed", "", "decoder_memory"]
    assert "abort.wav: its decoder crashed (SIGABRT)" in report.loc["abort", "error"]


def test_listener_gets_the_end_of_every_selected_row(mixed):
    catalogue, state = mixed
    assert ("pairs", 6) in catalogue.listener.heard  # the disabled one was not asked for
    assert catalogue.listener.pairs_finished() == [
        ("loud", "invalid"), ("gone", "failed"), ("short", "failed"), ("rain-folk", "ok"),
        ("text", "failed"), ("fire-folk", "ok"),
    ]  # fmt: skip
    report = str(catalogue.output / "results.csv")
    sentence = state.message.partition("\n")[0]
    kind, summary, place = catalogue.listener.heard[-1]
    assert (kind, place) == ("ended", report)
    assert summary.splitlines()[0] == sentence
    assert " of 2 sound as meant" in summary.splitlines()[1]


def test_an_input_of_several_rows_is_analysed_once(finished):
    assert Counter(finished.work) == {
        "origin": 2, "mels": 4, "transfer": 3, "picture": 3, "audio": 3,
    }  # fmt: skip
    assert len(finished.records("mels")) == 4


def test_an_output_that_cannot_be_written_fails_its_row_in_the_upload(rendered, finished):
    (rendered.output / "taken").write_text("a file where the row wants a folder")
    rendered.rows = [{**finished.rows[0], "output": "taken/rain-folk.wav"}]
    state = rendered.render()
    assert state.is_failed()
    report = rendered.report()
    assert list(report["stage"]) == ["upload"]
    assert "taken" in report["error"][0]
    assert rendered.work == []


def test_an_output_folder_that_cannot_be_written_is_refused_before_the_first_pair(rendered):
    shutil.rmtree(rendered.output)
    rendered.output.write_text("a file where the folder should be")
    rendered.rows = [dict(rendered.rows[0], strength="0.1")]
    with pytest.raises(StorageError, match="output: cannot create"):
        rendered.render().result()
    assert rendered.work == []


def test_the_ui_shows_two_task_runs_a_pair_and_one_an_input(make_catalogue, tmp_path):
    catalogue = make_catalogue(tmp_path / "shown")
    catalogue.rows = [*catalogue.rows[:1], BAD_ROWS[0]]
    state = catalogue.render()
    assert state.is_failed()
    expected = [
        ("finish-rain-folk", "Completed"),
        ("finish-short", "NotReady"),
        ("mels-ambience", "Completed"),
        ("mels-ambience", "Failed"),
        ("mels-music", "Completed"),
        ("transfer-rain-folk", "Completed"),
        ("transfer-short", "NotReady"),
    ]
    deadline = time.monotonic() + 60
    while task_runs(state) != expected and time.monotonic() < deadline:
        time.sleep(0.5)  # the server records them in batches
    assert task_runs(state) == expected


def test_a_catalogue_ends_with_its_listening_page(finished):
    page = (finished.output / "index.html").read_text("utf-8")
    assert all(row["id"] in page for row in finished.rows)
    pictures = {path.stem for path in (finished.output / "listen").glob("*.webp")}
    assert pictures == {
        sha256[: len(next(iter(pictures)))] for sha256 in finished.report()["sha256"]
    }
    assert all(f"listen/{name}.webp" in page for name in pictures)


def test_an_unknown_id_is_refused_and_leaves_the_old_report(rendered):
    report = rendered.output / "results.csv"
    before = report.read_bytes()
    state = rendered.render(only=("rain-folk", "rain-jazz"))
    with pytest.raises(NSTError, match=r"no row of .* has the id rain-jazz"):
        state.result()
    assert report.read_bytes() == before


def test_a_manifest_with_a_bad_row_renders_nothing(rendered):
    rendered.rows = [*rendered.rows, {"id": "loud", **dict(rendered.rows[0], strength="7")}]
    shutil.rmtree(rendered.output)
    state = rendered.render()
    with pytest.raises(NSTError, match=r"outside 0\.\.1"):
        state.result()
    assert not rendered.output.exists()


def test_the_next_run_renders_only_the_corrected_row(rendered):
    rendered.rows = [*rendered.rows, {"id": "late", "ambience": "fire.wav", "music": "late.wav"}]
    sentence = "1 of 4 pairs failed: late; 0 rendered, 3 already done\n- late: "
    assert rendered.render().message.startswith(sentence)
    shutil.copy(rendered.root / "inputs" / "rock.wav", rendered.root / "inputs" / "late.wav")
    assert rendered.render().message == "4 pairs: 1 rendered, 3 already done"
    assert rendered.work == [
        "transfer",
        "picture",
        "audio",
    ]  # its sounds were analysed for other rows
