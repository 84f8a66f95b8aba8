"""The `amnst` command: its exit codes, its messages and its outputs."""

import json
import os
import pty
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from flows.cli.app import main
from tasks.storage import s3


@pytest.fixture
def amnst(capfd):
    """Run a command line in this process; return exit code, stdout and stderr."""

    def run(*arguments):
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return caught.value.code or 0, out, err

    return run


@pytest.fixture
def catalogue(rendered, environment):
    """A finished catalogue, with the environment that names its store."""
    with environment(rendered.root):
        yield rendered


@pytest.fixture
def render(amnst, catalogue):
    """Run `amnst render` on the catalogue's current manifest."""

    def run(*options):
        common = ("--output", catalogue.output, "--model", catalogue.model)
        return amnst("render", catalogue.manifest, *common, *options)

    return run


def in_one_line(text):
    return " ".join(text.split())


def test_a_finished_catalogue_ends_with_0_and_the_reports_place(render, catalogue):
    code, out, err = render()
    assert (code, out) == (0, f"{catalogue.output}/results.csv\n")
    assert "3 pairs: 0 rendered, 3 already done" in err
    assert f"\nlisten: {catalogue.output}/index.html\n" in err


@pytest.fixture
def rendered_again(catalogue):
    """Run `amnst render` in a new process; return it with what it has imported."""

    def run(*options):
        arguments = [
            *("render", str(catalogue.manifest), "--output", str(catalogue.output)),
            *("--model", str(catalogue.model), *options),
        ]
        code = f"""
import sys
from flows.cli.app import main
try:
    main({arguments})
except SystemExit as done:
    print(done.code, {{'tensorflow', 'prefect', 'scipy', 'librosa', 'numba'}} & set(sys.modules))
"""
        # Nobody listens there, so a run that needs the server fails.
        away = {"PREFECT_API_URL": "http://127.0.0.1:9/api"}
        return subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, **away},
            capture_output=True, text=True, check=True,
        )  # fmt: skip

    return run


def test_a_finished_catalogue_needs_no_server_and_no_prefect(rendered_again, catalogue):
    before, made = catalogue.report(), catalogue.made()
    done = rendered_again()
    assert done.stdout.splitlines() == [f"{catalogue.output}/results.csv", "0 set()"], done.stderr
    assert "3 pairs: 0 rendered, 3 already done" in done.stderr
    assert catalogue.made() == made
    assert set(catalogue.statuses().values()) == {"cached"}
    told_now = ["status", "worker", "ended_at", "run_id", "output", "ambience", "music"]
    after = catalogue.report()
    assert after.drop(columns=told_now).equals(before.drop(columns=told_now))


def test_a_finished_catalogue_with_a_bad_row_ends_with_1_without_a_server(
    rendered_again, catalogue
):
    catalogue.rows = [*catalogue.rows, {**catalogue.rows[0], "id": "loud", "strength": "7"}]
    catalogue.write()
    done = rendered_again("--skip-invalid")
    assert done.stdout.splitlines()[-1] == "1 set()", done.stderr
    assert "1 of 4 pairs failed: loud" in done.stderr


@pytest.mark.parametrize("change", ["an output is gone", "a row is new", "forced"])
def test_a_catalogue_with_something_to_do_needs_the_server(rendered_again, catalogue, change):
    if change == "an output is gone":
        (catalogue.output / "rain-folk.wav").unlink()
    if change == "a row is new":
        catalogue.rows = [{**catalogue.rows[0], "id": "new", "strength": "0.1"}, *catalogue.rows]
        catalogue.write()
    done = rendered_again(*(["--force"] if change == "forced" else []))
    assert done.stdout.splitlines()[-1].startswith("2 ")
    assert "[server_away]" in done.stderr


def test_the_page_is_made_again_from_the_report_even_in_another_place(amnst, catalogue, tmp_path):
    moved = shutil.copytree(catalogue.output, tmp_path / "moved")
    (moved / "index.html").unlink()
    before = (moved / "results.csv").read_bytes()
    code, out, err = amnst("report", moved, "--listen", "none")
    assert (code, out) == (0, f"{moved}/index.html\n")
    assert err.endswith(f"listen: {moved}/index.html\n")
    page = (moved / "index.html").read_text("utf-8")
    assert '"rain-folk.wav"' in page, "the link to a result"
    assert 'inputs/rain.wav"' in page, "the place of an input, as text"
    assert "../inputs" not in page
    assert (moved / "results.csv").read_bytes() == before


def test_a_folder_without_a_report_has_no_page(amnst, catalogue, tmp_path):
    code, out, err = amnst("report", tmp_path)
    assert (code, out) == (3, "")
    assert "results.parquet" in err
    assert list(tmp_path.glob("index.html")) == []


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


BAD_MANIFESTS = {
    "missing column": ("ambience,id\nrain.wav,a\n", ['line 1, column "music"', "is required"]),
    "duplicate id": (
        "id,ambience,music\na,rain.wav,folk.wav\nA,rain.wav,rock.wav\n",
        ['line 3, column "id", value "A"', "already used in line 2"],
    ),
    "unknown column": (
        "ambience,music,strengths\nrain.wav,folk.wav,1\n",
        ['line 1, column "strengths"', 'did you mean "strength"?'],
    ),
    "two separators": (
        "ambience;music,strength\nrain.wav;folk.wav,1\n",
        ["line 1 contains commas and semicolons", "by commas"],
    ),
    "out of range": (
        "ambience,music,strength\nrain.wav,folk.wav,1\nrain.wav,rock.wav,1.5\n",
        ['line 3, column "strength", value "1.5"', "outside 0..1"],
    ),
    "not a number": (
        "ambience,music,seed\nrain.wav,folk.wav,seven\n",
        ['line 2, column "seed", value "seven"', "must be a whole number"],
    ),
    "outside the roots": (
        "ambience,music\n../rain.wav,folk.wav\n",
        ['line 2, column "ambience", value "../rain.wav"', "contains .."],
    ),
}


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


def test_an_unknown_command_ends_with_2(amnst):
    code, out, err = amnst("rendr", "manifest.csv")
    assert (code, out) == (2, "")
    assert "rendr" in err


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


def test_a_plan_holds_every_pair_and_passes_the_check(amnst, inputs, monkeypatch, tmp_path):
    monkeypatch.chdir(shutil.copytree(inputs, tmp_path / "inputs"))
    code, out, _ = amnst("plan", "--ambience", "rain.wav", "fire.wav", "--music", "[fr]o*.wav")
    assert code == 0
    assert out.splitlines() == [
        "id,ambience,music",
        "rain__folk,rain.wav,folk.wav",
        "rain__rock,rain.wav,rock.wav",
        "fire__folk,fire.wav,folk.wav",
        "fire__rock,fire.wav,rock.wav",
    ]
    Path("manifest.csv").write_text(out, "utf-8")
    assert amnst("check", "manifest.csv")[:2] == (0, "")


def test_every_ambience_is_rendered_with_every_music_without_a_manifest(
    amnst, catalogue, inputs, monkeypatch, tmp_path
):
    monkeypatch.chdir(shutil.copytree(inputs, tmp_path / "inputs"))
    options = ("--output", "out", "--model", catalogue.model, "--preset", "closed")
    pairs = ("--ambience", "rain.wav", "--music", "[fr]o*.wav")
    code, out, err = amnst("render", *pairs, *options)
    assert (code, out) == (0, "out/results.csv\n"), err
    assert {path.name for path in Path("out").glob("*.wav")} == {"rain__folk.wav", "rain__rock.wav"}
    assert "2 pairs: 2 rendered, 0 already done" in err
    assert "2 pairs: 0 rendered, 2 already done" in amnst("render", *pairs, *options)[2]
    more = ("--strength", "0", "1", "--set", "loudness_lufs=-23")
    assert amnst("render", *pairs, *options, *more)[0] == 0
    made = {path.name for path in Path("out").glob("*__?.wav")}
    assert made == {f"rain__{name}__{n}.wav" for name in ("folk", "rock") for n in (0, 1)}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ((), "name a manifest, before the options, or both --ambience and --music"),
        (("--music", "x.wav"), "or both --ambience and --music"),
        (("m.csv", "--music", "x.wav"), "give a manifest, or --ambience and --music"),
        (("m.csv", "--set", "seed=1"), "give a manifest, or --ambience and --music (and --set)"),
        (("m.csv", "--strength", "0", "1"), "--strength 0 1: with a manifest, one value"),
    ],
)
def test_a_render_without_pairs_or_with_two_kinds_of_them_is_refused(amnst, given, reason):
    code, out, err = amnst("render", *given, "--output", "out")
    assert (code, out) == (2, "")
    assert reason in err


def test_strengths_and_presets_multiply_the_rows_of_a_plan(amnst, inputs, monkeypatch):
    monkeypatch.chdir(inputs)
    pairs = ("--ambience", "rain.wav", "--music", "folk.wav")
    several = ("--strength", "0.25", "1", "--preset", "real", "closed", "--set", "seed=7")
    code, out, _ = amnst("plan", *pairs, *several)
    assert (code, out.splitlines()) == (0, [
        "id,ambience,music,preset,strength,seed",
        "rain__folk__real__0.25,rain.wav,folk.wav,real,0.25,7",
        "rain__folk__real__1,rain.wav,folk.wav,real,1.0,7",
        "rain__folk__closed__0.25,rain.wav,folk.wav,closed,0.25,7",
        "rain__folk__closed__1,rain.wav,folk.wav,closed,1.0,7",
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--strength", "0.5", "7"), 'strength "7" is outside 0..1'),
        (("--set", "strength=1", "--strength", "0.5"), "are both given"),
        (("--set", "colour=red"), 'column "colour" is not a known column'),
    ],
)
def test_a_plan_with_a_wrong_setting_ends_with_2(amnst, inputs, monkeypatch, options, message):
    monkeypatch.chdir(inputs)
    code, out, err = amnst("plan", "--ambience", "rain.wav", "--music", "folk.wav", *options)
    assert (code, out) == (2, "")
    assert message in err


def test_a_reader_that_has_seen_enough_of_a_plan_ends_it_quietly(tmp_path):
    for number in range(4_000):
        (tmp_path / f"a quite long name of a song {number}.wav").touch()
    (tmp_path / "rain.ogg").touch()
    done = subprocess.run(
        ["bash", "-c", '"$@" | head -n 1; exit ${PIPESTATUS[0]}', "-",
         sys.executable, "-c", "from flows.cli.app import main; main()",
         "plan", "--ambience", "rain.ogg", "--music", "."],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (141, "id,ambience,music\n", "")


def test_a_plan_whose_pattern_matches_no_file_ends_with_2(amnst, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, out, err = amnst("plan", "--ambience", "*.wav", "--music", "*.wav")
    assert (code, out) == (2, "")
    assert 'no file matches "*.wav"' in err


def test_check_prints_what_is_wrong_line_by_line_and_ends_with_2(amnst, catalogue):
    first = catalogue.rows[0]
    catalogue.rows = [
        first,
        {**first, "id": "late", "music": "late.wav"},
        {**first, "id": "loud", "strength": "7"},
    ]
    code, out, err = amnst("check", catalogue.write())
    late, loud = out.splitlines()
    assert code == 2
    assert late.startswith('line 3, column "music", value "')
    assert late.endswith(": does not exist")
    assert loud.startswith('line 4, column "strength", value "7": ')
    assert "valid rows: 1, problems: 2" in err


@pytest.mark.parametrize(("text", "wanted"), BAD_MANIFESTS.values(), ids=BAD_MANIFESTS)
def test_check_prints_whatever_is_wrong_in_a_manifest_on_stdout(amnst, catalogue, text, wanted):
    catalogue.manifest.write_text(text, "utf-8")
    code, out, err = amnst("check", catalogue.manifest)
    (problem,) = out.splitlines()
    assert code == 2
    for part in wanted:
        assert part in problem
    summary = err.splitlines()[0]
    assert summary.startswith(f"{catalogue.manifest}: ")
    assert summary.endswith(", problems: 1")


def test_check_says_what_a_render_would_make_and_what_is_done(
    amnst, catalogue, monkeypatch, tmp_path
):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    options = ("--output", catalogue.output, "--model", catalogue.model)
    code, out, err = amnst("check", catalogue.manifest, *options)
    assert (code, out) == (0, "")
    assert err.endswith("3 rows: 0 to render, 3 already done\n")
    catalogue.rows = [{**catalogue.rows[0], "strength": "0.33"}, *catalogue.rows[1:]]
    err = amnst("check", catalogue.write(), *options)[2]
    assert "3 rows: 1 to render, 2 already done; about " in err
    assert err.endswith("no estimate of the time yet: no pair has been rendered on this machine\n")
    code, out, _ = amnst("check", catalogue.manifest, *options, "--force", "--json")
    (line,) = out.splitlines()
    told = json.loads(line)
    assert (told["valid"], told["problems"], told["forecast"]["n_done"]) == (3, [], 0)


def test_a_render_teaches_check_how_long_a_pair_takes(amnst, one_pair, monkeypatch, tmp_path):
    ambience, music, *options = one_pair
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    pair = ("--ambience", ambience, "--music", music, "--output", tmp_path / "out")
    assert amnst("render", *pair, *options)[0] == 0
    manifest = (tmp_path / "out" / "manifest.csv", "--input-root", Path(music).parent)
    err = amnst("check", *manifest, *options)[2]
    assert re.search(
        r"1 row: 1 to render; about \d+ s on this machine \(from 1 earlier pair\); "
        r"about \d+ kB of output and \d+ [kM]B in the store\n$",
        err,
    ), err
    err = amnst("check", *manifest, *options[:2], "--preset", "real")[2]
    assert "no pair with these settings has been rendered on this machine" in err


def test_check_opens_the_inputs_and_reads_the_sections(amnst, catalogue, tmp_path):
    first = catalogue.rows[0]
    folder = Path(catalogue.manifest).parent
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("no sound at all", "utf-8")
    catalogue.rows = [
        {**first, "id": "none", "ambience": "empty.wav"},
        {**first, "id": "words", "music": "text.wav"},
        {**first, "id": "late", "start_s": "1000"},
        {**first, "id": "over", "output": first["music"]},
    ]
    manifest = catalogue.write()
    code, out, err = amnst("check", manifest, "--output", folder, "--model", catalogue.model)
    (folder / "empty.wav").unlink()
    (folder / "text.wav").unlink()
    assert code == 2
    assert len(out.splitlines()) == 4, out
    none, text, late, over = out.splitlines()
    assert none.endswith(": is empty (0 bytes); copy it again")
    assert ": is not a readable audio file" in text
    assert "but the requested section is from 1000 s; choose one inside the file" in late
    assert ": is an input of this manifest" in over
    assert "valid rows: 0, problems: 4" in err


def test_what_was_recognised_in_a_spreadsheet_is_a_note_on_stderr(amnst, render, catalogue):
    text = Path(catalogue.write()).read_text("utf-8").replace(",", "\t")
    catalogue.manifest.write_text(text, "utf-16")
    note = f"note: {catalogue.manifest} is UTF-16 with tabs\n"
    code, _, err = amnst("check", catalogue.manifest)
    assert (code, err.startswith(note)) == (0, True)
    code, _, err = render()
    assert (code, f"\n{note}" in err) == (0, True)
    assert "3 pairs: 0 rendered, 3 already done" in err


def test_check_of_a_manifest_that_is_not_there_is_a_usage_error(amnst, tmp_path):
    code, out, err = amnst("check", tmp_path / "none.csv")
    assert (code, out) == (2, "")
    assert "none.csv does not exist" in err


@pytest.mark.parametrize("command", ["check", "render"])
def test_an_input_root_that_is_not_there_is_a_usage_error(amnst, catalogue, tmp_path, command):
    output = ("--output", tmp_path / "out") if command == "render" else ()
    root = ("--input-root", tmp_path / "sonds")
    code, out, err = amnst(command, catalogue.write(), *output, *root)
    assert (code, out) == (2, "")
    assert f'input root "{tmp_path}/sonds" is not a folder' in err
    assert err.endswith("[no_input_root]\n")


def test_a_first_run_on_a_terminal_sends_no_telemetry_and_no_notice(tmp_path):
    code = """
from flows.server.environment import prepare_prefect
prepare_prefect(verbose=False)
import prefect
from prefect._internal.analytics import is_telemetry_enabled
print("counts" if is_telemetry_enabled() else "does not count")
"""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    ours, terminal = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", code], env=kept | {"PREFECT_HOME": str(tmp_path)},
        stdin=terminal, stdout=terminal, stderr=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    said = os.read(ours, 10_000).decode()
    os.close(ours)
    os.close(terminal)
    assert (said.strip(), done.stderr) == ("does not count", "")


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["render", "--help"], ["train", "--help"], ["check", "manifest.csv"]],
    ids=" ".join,
)
def test_what_starts_no_flow_imports_neither_tensorflow_nor_prefect(arguments, catalogue):
    code = f"""
import sys
from flows.cli.app import main
try:
    main({arguments})
except SystemExit as done:
    print(done.code, {{'tensorflow', 'keras', 'prefect', 'librosa'}} & set(sys.modules))
"""
    catalogue.write()
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=catalogue.manifest.parent, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] in {"None set()", "0 set()"}


@pytest.mark.parametrize("command", ["plan", "check", "render", "submit", "schedule"])
def test_help_has_no_empty_options(amnst, command):
    code, out, _ = amnst(command, "--help")
    assert code == 0
    assert "--empty-" not in out


@pytest.fixture
def one_pair(catalogue, tmp_path, environment):
    """Arguments of `amnst transfer` for the first pair of the catalogue."""
    row = catalogue.rows[0]
    folder = Path(catalogue.manifest).parent
    inputs = str(folder / row["ambience"]), str(folder / row["music"])
    with environment(tmp_path):
        yield *inputs, "--model", catalogue.model, "--preset", "closed"


def test_one_pair_needs_no_manifest(amnst, one_pair, tmp_path):
    output = tmp_path / "out.flac"
    code, out, err = amnst("transfer", *one_pair, "-o", output, "--strength", "1")
    assert (code, out) == (0, f"{output}\n")
    assert "the tune is" in err
    assert output.read_bytes().startswith(b"fLaC")
    code, out, _ = amnst("transfer", *one_pair, "-o", output, "--json", "--duration", "1")
    told = json.loads(out)
    assert (told["output"], told["duration_s"], told["strength"]) == (str(output), 1.0, 0.7)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("-o", "out.mp9"), "must end in .wav, .flac, .mp3, .ogg, .opus"),
        (("-o", "out.wav", "--strength", "7"), "strength = 7.0 is outside 0..1"),
        (("-o", "out.wav", "--preset", "polka"), "is not one of"),
    ],
)
def test_a_wrong_option_of_one_pair_is_refused_at_once(amnst, one_pair, options, message):
    code, out, err = amnst("transfer", *one_pair[:2], *options)
    assert (code, out) == (2, "")
    assert message in in_one_line(err)
    assert not Path("out.wav").exists()
