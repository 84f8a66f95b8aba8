"""Commands in the documents: every block of code is run, or at least parsed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import prefect.settings
import pytest
from cyclopts import CycloptsError

from deployments import make_env, passed_on
from flows.cli.app import app
from flows.settings import Settings
from nst_core.audio.reading import read_audio
from nst_core.audio.writing import write_audio
from nst_core.synth.sounds import GENRES, ambience, music_piece
from tests import documents
from tests.documents import ROOT, is_python, words
from tests.servers import PATIENCE_S

pytestmark = pytest.mark.e2e

SR = 22_050
DOCUMENTS = documents.pages()
RUN = (
    "README.md", "docs/tutorial.md", "docs/how-to/one-pair.md", "docs/how-to/many-pairs.md",
    "docs/how-to/listening-page.md", "docs/how-to/classifier.md", "docs/how-to/workers.md",
    "docs/how-to/inbox.md",
)  # fmt: skip
"""Documents whose commands are run, in this order. Those of all others must only exist."""
BLOCKS = [block for document in DOCUMENTS for block in documents.blocks(document)]
SHELL = [block for block in BLOCKS if block.language == "sh"]
SPANS = [span for document in DOCUMENTS for span in documents.spans(document)]

WHOLE = {
    "curl": "tests/deployments/test_documents.py",
    "openssl": "tests/deployments/test_files.py",
}
"""Word in each block that is one command, and the test that runs it."""
TEXTS = {
    "epoch 8 of 8": "test_the_demo_ends_as_the_document_shows",
    "manifest.csv\n   |": "test_every_stage_in_the_diagram_is_a_function",
}
"""Start of each block that is not code, and the test that compares it."""
LASTING = {"amnst serve", "amnst worker"}
"""Commands that run until they are stopped; the cluster of this folder consists of them."""
ELSEWHERE = {"make": "CI runs it", "amnst audition": "tests/flows/cli/test_audition_command.py"}
REFUSED = {"amnst cancel": "is Completed", "amnst retry": "is Completed"}
"""For a run that has succeeded."""


def holds(text, known):
    return next((value for key, value in known.items() if key in text), None)


def commands(document):
    """Return the commands of a document, each with the place of its block."""
    return [
        pytest.param(command, id=f"{block}: {command.split('  ')[0]}")
        for block in SHELL
        if block.document == document and not holds(block.text, WHOLE)
        for command in block.commands
    ]


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_every_block_is_tested_by_its_kind(block):
    assert block.language in {"sh", "python", "text"}
    if block.language == "text":
        test = next((name for begin, name in TEXTS.items() if block.text.startswith(begin)), None)
        assert test in globals(), "compare it with what it shows, in this file"


@pytest.mark.parametrize("command", [each for name in DOCUMENTS for each in commands(name)])
def test_every_command_is_one_that_exists(command):
    program, *arguments = words(command)
    if program == "amnst":
        app.parse_args(arguments, exit_on_error=False, print_error=False)
    elif program == "make":
        subprocess.run(["make", "--dry-run", *arguments], cwd=ROOT, check=True, capture_output=True)
    elif program == "export":
        for assignment in arguments:
            assert is_known_variable(assignment.partition("=")[0])
    else:
        assert program == "prefect", "say in this test how to check such a line"


def test_a_command_that_does_not_exist_is_noticed():
    for wrong in (["rendr", "m.csv"], ["render", "m.csv", "--output", "o", "--colour", "red"]):
        with pytest.raises(CycloptsError):
            app.parse_args(wrong, exit_on_error=False, print_error=False)
    assert not is_known_variable("AMNST_STORE")
    assert not is_known_variable("PREFECT_API")


def is_known_variable(name):
    if name.startswith("AMNST_"):
        fields = {f"AMNST_{field.upper()}" for field in Settings.model_fields}
        return name in fields | {*make_env._NAMES, passed_on.MORE}
    if name.startswith("PREFECT_"):
        return hasattr(prefect.settings, name)
    return True  # another program's: AWS_*, TMPDIR


@pytest.mark.parametrize("name", sorted({s for s in SPANS if re.fullmatch("[A-Z]+_[A-Z_]+", s)}))
def test_every_variable_in_the_text_is_read(name):
    assert is_known_variable(name)


def test_every_command_option_and_file_in_the_text_exists():
    options = {
        name for command in app if not command.startswith("-")
        for each in app[command].assemble_argument_collection()
        for name in each.names
    }  # fmt: skip
    for span in SPANS:
        if span.startswith("amnst ") and "COMMAND" not in span:
            assert span.split()[1] in app, span
        elif span.startswith("--"):
            assert span.split()[0] in options, span
        elif span.startswith("make "):
            done = subprocess.run(["make", "--dry-run", *span.split()[1:]], cwd=ROOT, check=False)
            assert done.returncode == 0, span
        elif found := re.fullmatch(r"\.venv/bin/python -m tests\.benchmarks (\w+)", span):
            assert (ROOT / f"tests/benchmarks/bench_{found[1]}.py").is_file(), span
        elif re.fullmatch(r"[\w.]+/[\w./]+\.(md|py|lock|yaml)", span):
            assert (ROOT / span).is_file(), span


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with all files that the commands of the documents name."""
    folder = tmp_path_factory.mktemp("work & place ä")
    sounds = {f"{kind}/{kind}.wav": ambience(kind, 2.0, seed=5) for kind in ("rain", "wind")}
    sounds["songs/tune.flac"] = music_piece(GENRES[0], 3.0, seed=5)
    for genre in GENRES[:2]:
        for seed in range(4):
            track = music_piece(genre, 6.0, seed=seed)
            sounds[f"path/to/genres/{genre}/{seed}.wav"] = track
    for name, y in sounds.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_audio(path, y, SR, format=path.suffix[1:])
    for name in ("in", "out"):
        (folder / name).mkdir()
    return folder


class Shell:
    """A reader at the prompt, whose environment names the cluster."""

    def __init__(self, cluster, folder):
        self.cluster, self.folder, self.run_id = cluster, folder, None
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = {**cluster.environment, "PATH": path}

    def type(self, command):
        """Run one command, with values for the reader's placeholders."""
        command = re.sub(r"\bRUN\b", str(self.run_id), command)
        command = re.sub(r'"/(in|out)"', rf'"{self.folder}/\1"', command)
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=self.environment,
            capture_output=True, text=True, timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        said = f"{command}\n{done.stdout}\n{done.stderr}"
        if reason := holds(command, REFUSED):
            assert done.returncode == 2, said
            assert reason in done.stderr
        else:
            assert done.returncode == 0, said
        if command.startswith("amnst submit"):
            self.run_id = done.stdout.strip()
        return done.stdout


def test_the_commands_of_the_documents_do_what_they_say(cluster, workplace):
    shell = Shell(cluster, workplace)
    typed = []
    found = [each.values[0] for document in RUN for each in commands(document)]
    for command in dict.fromkeys(found):  # some commands are on several pages
        skipped = any(command.startswith(start) for start in (*LASTING, *ELSEWHERE, "export"))
        if not skipped:
            typed.append((command, shell.type(command)))
    assert len(typed) >= 10
    assert (workplace / "out" / "results.csv").is_file()
    assert len(list((workplace / "model").glob("*.weights.h5"))) == 1
    plan = (workplace / "manifest.csv").read_text()
    assert "rain/rain.wav" in plan
    assert shell.type("amnst unschedule catalog") == ""
    (sed,) = (span for span in SPANS if span.startswith("sed "))
    shell.type(sed)
    shell.type("amnst check half.csv")
    assert (workplace / "half.csv").read_text().splitlines()[1].endswith(",0.5")


@pytest.mark.parametrize(
    "document", sorted({block.document for block in BLOCKS if block.language == "python"})
)
def test_the_python_of_a_document_runs_in_a_fresh_process(document, workplace, tmp_path):
    write_audio(
        tmp_path / "tune.wav", read_audio(workplace / "songs/tune.flac").y, SR, format="wav"
    )
    shutil.copy(workplace / "rain/rain.wav", tmp_path)
    code = [b.text for b in BLOCKS if b.language == "python" and b.document == document]
    code += [span for span in documents.spans(document) if is_python(span)]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([*code, "print(y.shape)"])],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    y = read_audio(tmp_path / "rain_plays_tune.wav").y
    assert done.stdout.strip() == str(y.shape)


def test_every_public_name_is_listed_and_exists():
    code = """
import nst_core
for name in nst_core.__all__:
    assert name in dir(nst_core), name
    assert getattr(nst_core, name) is not None
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=PATIENCE_S)


def shown(begin):
    """Return the lines of the text block that begins with a given text."""
    (block,) = (block for block in BLOCKS if block.text.startswith(begin))
    return block.text.splitlines()


def without_figures(line):
    return re.sub(r"[\d.:]+", "#", line).strip()


def test_the_demo_ends_as_the_document_shows():
    printed = ROOT / "build" / "demo.txt"
    if not printed.is_file():
        pytest.skip("what `make demo` prints is kept by .ci/run, in build/demo.txt")
    wanted = [without_figures(line) for line in shown("epoch 8 of 8")]
    # On a slow machine, further lines say what is at work.
    lines = printed.read_text("utf-8").splitlines()
    told = [line for line in lines if line and not re.search("until now$|, at work: ", line)]
    said = [without_figures(line) for line in told]
    assert said[-len(wanted) :] == wanted


def test_every_stage_in_the_diagram_is_a_function():
    stages = re.findall(r"\|  ([a-z]+_[a-z]+) ", "\n".join(shown("manifest.csv\n")))
    assert len(stages) == 4
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "tasks").rglob("*.py"))
    for stage in stages:
        assert f"def {stage}(" in sources
