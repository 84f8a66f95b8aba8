"""The command of the listening test: build it, and count its answers."""

import sys
from typing import Annotated

from cyclopts import Parameter

from flows.cli.exit_codes import USAGE
from flows.cli.options import Ids, field_help
from nst_core.config import DEFAULT_PRESET
from nst_core.errors import ConfigError

_KEY = "key.json"
_Files = Annotated[list[str] | None, Parameter(consume_multiple=True)]
_Numbers = Annotated[list[float] | None, Parameter(consume_multiple=True)]


def panel(
    manifest: str | None = None,
    *,
    output: Annotated[str | None, Parameter(name=["--output", "-o"])] = None,
    ready_made: bool = False,
    strengths: _Numbers = None,
    preset: str = DEFAULT_PRESET,
    model: Annotated[str | None, field_help("model")] = None,
    input_root: Ids = None,
    score: _Files = None,
    key: str = _KEY,
    json: bool = False,
) -> int:
    """Build a blind listening test, or count its answers.

    The output folder gets `page`, which goes to the listeners, and `key.json`, which does not.

    Parameters
    ----------
    manifest
        CSV file of the pairs, as a path or s3:// URI: the first ten seconds of each section.
    output
        Local folder for the test.
    ready_made
        In place of a manifest: twelve pairs of synthesised sounds.
    strengths
        Strengths of our transfers in the test; by default 0.7 and 1.
    preset
        Preset of rows without one.
    input_root
        Folders or s3:// prefixes that may contain inputs; by default the manifest's folder.
    score
        Files that listeners have sent back: count them, and build nothing.
    key
        Key of the test whose answers are counted.
    json
        Print the counted answers as JSON.
    """
    if score is not None:
        if manifest or ready_made or output:
            raise ConfigError("--score counts answers and builds nothing; leave out the rest")
        return _score(score, key, json=json)
    if bool(manifest) == ready_made:
        raise ConfigError("name a manifest, or --ready-made for twelve synthesised pairs")
    if output is None:
        raise ConfigError("name a folder for the test with --output")
    return _build(manifest, output, strengths, preset, model, tuple(input_root or ()))


def _build(
    manifest: str | None,
    output: str,
    strengths: list[float] | None,
    preset: str,
    model: str | None,
    input_roots: tuple[str, ...],
) -> int:
    from flows.settings import Settings
    from nst_core.synth.listening_pairs import LICENCE
    from tasks.manifest.reading import check_input_roots, read_manifest
    from tasks.panel.building import PanelOptions, build_panel
    from tasks.panel.pairs import ready_made_sources, sources_of_rows

    licence = "" if manifest else LICENCE
    given = {} if strengths is None else {"strengths": tuple(strengths)}
    options = PanelOptions(preset=preset, model=model, licence=licence, **given)
    n_bad = 0
    if manifest:
        check_input_roots(input_roots)
        found = read_manifest(manifest, input_roots=input_roots)
        n_bad = len({problem.line for problem in found.problems})
        for problem in found.problems:
            _tell(f"left out: {problem} [{problem.code}]")
        sources = sources_of_rows(found.rows, preset)
    else:
        sources = ready_made_sources(preset)
    built = build_panel(sources, output, Settings().workspace(), options, tell=_tell)
    n_left_out = len(built.left_out) + n_bad
    _tell(f"{built.n_pairs} pairs" + (f", {n_left_out} left out" if n_left_out else ""))
    _tell(f"hand out: {built.page.parent}\nkeep to yourself: {built.key}")
    print(built.page)
    return 1 if n_left_out else 0


def _score(files: list[str], key: str, *, json: bool) -> int:
    from tasks.panel.answers import read_answers
    from tasks.panel.key import read_key
    from tasks.panel.scoring import score
    from tasks.panel.words import as_json, as_text

    known = read_key(key)
    answers, refused = read_answers(files, known)
    for error in refused:
        _tell(f"not counted: {error} [{error.code}]")
    if not answers:
        _tell("no file can be counted")
        return USAGE
    result = score(answers, known)
    print(as_json(result) if json else as_text(result), end="")
    return 1 if refused or not result.listeners else 0


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
