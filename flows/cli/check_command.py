"""The command that checks a manifest, and says what a render of it would take."""

import dataclasses
import json as to_json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flows.cli.exit_codes import USAGE
from flows.cli.options import RenderOptions, field_help

if TYPE_CHECKING:
    from flows.requests import RenderRequest
    from tasks.manifest.problems import RowProblem
    from tasks.manifest.reading import Manifest
    from tasks.manifest.row import ManifestRow
    from tasks.report.forecast import Forecast


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class CheckOptions(RenderOptions):
    """Options of a render, so that the same line can be checked first."""

    output: Annotated[str, field_help("output")] = ""


_DEFAULTS = CheckOptions()


def check(manifest: str, *, options: CheckOptions = _DEFAULTS, json: bool = False) -> int:
    """Check a manifest and its inputs, and say what a render would take; render nothing.

    Prints one problem per line to stdout; the counts, and what a render would take, to stderr.
    With --output, the rows that are already rendered there are counted. Takes every option of
    `amnst render`.

    Parameters
    ----------
    manifest
        CSV file, as a path or s3:// URI.
    json
        Print one line of JSON to stdout instead.
    """
    from tasks.manifest.problems import ManifestError
    from tasks.manifest.reading import check_input_roots, read_manifest

    request = options.request(manifest, output=options.output or ".")
    check_input_roots(request.input_roots)
    try:
        found = read_manifest(
            manifest, input_roots=request.input_roots, default_format=request.sound.format
        )
    except ManifestError as error:
        if error.code == "not_found":
            raise
        problems = [str(problem) for problem in error.problems] or [str(error)]
        return _told(manifest, 0, problems, [_as_json(each) for each in error.problems], json=json)
    for note in found.notes:
        sys.stderr.write(f"note: {note}\n")
    found_problems, forecast = _looked_at(found, request, has_output=bool(options.output))
    bad = {problem.line for problem in found_problems}
    n_well = sum(row.line not in bad for row in found.rows)
    code = _told(
        manifest,
        n_well,
        [str(problem) for problem in found_problems],
        [_as_json(problem) for problem in found_problems],
        notes=found.notes,
        forecast=dataclasses.asdict(forecast),
        json=json,
    )
    sys.stderr.write(f"{forecast.in_words()}\n" if n_well else "")
    return code


def _looked_at(
    found: "Manifest", request: "RenderRequest", *, has_output: bool
) -> tuple[list["RowProblem"], "Forecast"]:
    """Return all problems in the order of the file, and the forecast for the other rows."""
    from flows.settings import Settings, rates_file
    from tasks.jobs.done import done_lines
    from tasks.jobs.from_rows import RenderDefaults, settings_problems
    from tasks.manifest.inputs import open_inputs
    from tasks.manifest.selection import selected_rows
    from tasks.model import fetch_model
    from tasks.report.forecast import forecast
    from tasks.report.rates import recall

    workspace = Settings().workspace()
    model = fetch_model(request.model, workspace)
    defaults = RenderDefaults(
        preset=request.preset, strength=request.strength, output=request.sound,
        model_path=model.path, model_sha256=model.sha256, output_uri=request.output,
    )  # fmt: skip
    inputs = open_inputs(found.rows)
    asked = selected_rows(
        found.rows, only=request.only, limit=request.limit, source=request.manifest
    )
    problems = [*found.problems, *inputs.problems, *settings_problems(found.rows, defaults)]
    if has_output:
        problems += _clashes(asked, found, request)
    bad = {problem.line for problem in problems}
    rows = [row for row in asked if row.line not in bad]
    done = done_lines([] if request.force else rows, defaults, workspace) if has_output else None
    expected = forecast(rows, done, inputs.headers, defaults, recall(rates_file()))
    if inputs.n_remote:
        sys.stderr.write(f"note: {inputs.n_remote} inputs in buckets were not opened\n")
    return sorted(problems, key=lambda problem: problem.line), expected


def _clashes(
    rows: list["ManifestRow"], found: "Manifest", request: "RenderRequest"
) -> list["RowProblem"]:
    from tasks.jobs.from_rows import inputs_of, outputs_on_inputs
    from tasks.manifest.problems import RowProblem

    clashes = outputs_on_inputs(rows, inputs_of(found.rows), request.output)
    rule = "is an input of this manifest; choose another output folder or name"
    return [
        RowProblem(row.line, row.id, "output", row.output, rule, clashes[row.line].code)
        for row in rows
        if row.line in clashes
    ]


def _told(
    manifest: str,
    n_well: int,
    problems: list[str],
    as_json: list[dict[str, Any]],
    *,
    json: bool,
    **more: object,
) -> int:
    if json:
        facts = {"manifest": manifest, "valid": n_well, "problems": as_json, **more}
        print(to_json.dumps(facts))
    else:
        for problem in problems:
            print(problem)
    sys.stderr.write(f"{manifest}: valid rows: {n_well}, problems: {len(problems)}\n")
    return USAGE if problems else 0


def _as_json(problem: "RowProblem") -> dict[str, Any]:
    names = ("line", "id", "column", "value", "rule", "code")
    return {name: getattr(problem, name) for name in names}
