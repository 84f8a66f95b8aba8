"""The `amnst` command: stdout is data, stderr is for people.

Exit codes: 0 all well, 1 some rows failed, 2 usage or manifest, 3 storage, 4 dataset or
model, 130 interrupted.
"""

import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, CycloptsError, Parameter

from flows.exit_codes import DATA, INTERRUPTED, STORAGE, USAGE
from flows.options import Format, Ids, RenderOptions
from flows.prefect_environment import prepare_prefect, start_server
from flows.run_commands import cancel, retry, schedule, schedules, submit, unschedule, wait
from flows.server_commands import deploy, doctor, serve, worker
from nst_core import __version__
from nst_core.config import OutputConfig
from nst_core.memory import limit_arenas

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State
    from pydantic_core import ValidationError

    from flows.catalog import RenderRequest

app = App(
    name="amnst",
    help="Ambience-to-music neural style transfer in batch: the rain plays the tune.",
    help_format="plaintext",
    version=__version__,
    version_flags=["--version"],
    default_parameter=Parameter(negative_iterable=()),  # nobody needs an --empty-music
    suppress_keyboard_interrupt=False,  # `main` says what to do next
)

Globs = Annotated[list[str], Parameter(consume_multiple=True)]


@app.command
def render(
    manifest: str, *, options: RenderOptions, json: bool = False, verbose: bool = False
) -> int:
    """Render the pairs of a manifest on this machine.

    Parameters
    ----------
    manifest
        CSV file, path or s3://; its columns are in the README.
    json
        Print a line of JSON per row on stdout.
    verbose
        Show Prefect's own log.
    """
    prepare_prefect(verbose=verbose)
    return _render(options.request(manifest), json=json)


@app.command
def train(
    dataset: str,
    *,
    output: str,
    sha256: str | None = None,
    licence: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    verbose: bool = False,
) -> int:
    """Train a genre classifier.

    Parameters
    ----------
    dataset
        Folder or archive with a folder per genre, as GTZAN; path, s3:// or https://.
    output
        Folder or s3:// prefix for the weights and the model card.
    sha256
        What the archive must have.
    licence
        Of the data, for the model card.
    epochs, batch_size, seed
        Where they should not be the defaults.
    verbose
        Show Prefect's own log.
    """
    prepare_prefect(verbose=verbose)
    from flows.screen import Screen
    from flows.train_classifier import TrainRequest, train_classifier
    from nst_core.config import TrainingConfig

    request = TrainRequest.model_validate(
        {
            "dataset": dataset,
            "output": output,
            "sha256": sha256,
            "training": TrainingConfig(**_given(n_epochs=epochs, batch_size=batch_size, seed=seed)),
            **_given(licence=licence),
        }
    )
    start_server()
    with Screen().shown() as screen:
        state = train_classifier(request, return_state=True)
        if error := _error(state):
            raise error
        result = state.result()
        low, high = result.track_interval
        screen.say(
            f"validation accuracy {result.track_accuracy:.3f} per track "
            f"({low:.3f} to {high:.3f}, {result.n_validation_tracks} tracks)"
        )
        for skipped in result.skipped:
            screen.say(f"skipped: {skipped}")
    print(result.weights)
    return 0


@app.command
def check(manifest: str, *, input_root: Ids = None) -> int:
    """Check a manifest and the presence of its inputs, without rendering anything.

    Prints each problem on a line of stdout, and the count on stderr.

    Parameters
    ----------
    manifest
        CSV file, path or s3://.
    input_root
        Folders or s3:// prefixes that inputs may lie in; by default the manifest's own.
    """
    n_well, problems = _checked(manifest, tuple(input_root or ()))
    for problem in problems:
        print(problem)
    sys.stderr.write(f"{manifest}: rows that are well: {n_well}, problems: {len(problems)}\n")
    return USAGE if problems else 0


def _checked(manifest: str, input_roots: tuple[str, ...]) -> tuple[int, list[str]]:
    """How many rows are well, and what is wrong with the others or with the whole file."""
    from tasks.manifest import check_input_roots, missing_inputs, read_manifest
    from tasks.problems import ManifestError

    check_input_roots(input_roots)
    try:
        found = read_manifest(manifest, input_roots=input_roots)
    except ManifestError as error:
        if error.code == "not_found":
            raise
        return 0, [str(problem) for problem in error.problems] or [str(error)]
    missing = missing_inputs(found.rows)
    problems = sorted([*found.problems, *missing], key=lambda problem: problem.line)
    n_well = len(found.rows) - len({problem.line for problem in missing})
    return n_well, [str(problem) for problem in problems]


@app.command
def plan(*, ambience: Globs, music: Globs, format: Format = OutputConfig.format) -> int:  # noqa: A002
    """Write a manifest of every ambience on every music to stdout.

    Save it in the current folder: the paths in it are relative to that.

    Parameters
    ----------
    ambience, music
        Files or quoted patterns such as 'rain/*.wav'. Ambiences joined by ' + ' sound at
        once, every one of the first pattern with every one of the next:
        'rain/*.wav*2 + wind/*.wav', twice as much rain as wind.
    format
        Of the outputs.
    """
    from tasks.plan import expand_ambiences, expand_globs, plan_rows, write_manifest

    rows = plan_rows(expand_ambiences(ambience), expand_globs(music), default_format=format)
    write_manifest(rows, sys.stdout)
    return 0


@app.command
def demo(folder: Path = Path("demo"), *, verbose: bool = False) -> int:
    """Train and render on sounds made on the spot.

    Parameters
    ----------
    folder
        Where everything goes.
    verbose
        Show Prefect's own log.
    """
    from tasks.demo import TRAINING, make_demo_files

    sys.stderr.write("making music, rain, wind, waves and fire\n")
    files = make_demo_files(folder)
    model = folder / "model"
    code = train(
        str(files.dataset),
        output=str(model),
        licence="Apache-2.0: synthesised by this package",
        epochs=TRAINING.n_epochs,
        batch_size=TRAINING.batch_size,
        verbose=verbose,
    )
    options = RenderOptions(output=str(folder / "output"), model=str(model))
    return code or render(str(files.manifest), options=options, verbose=verbose)


for _command in (submit, wait, retry, cancel, schedule, schedules, unschedule):
    app.command(_command)
for _server_command in (serve, deploy, worker, doctor):
    app.command(_server_command)


def _render(request: "RenderRequest", *, json: bool) -> int:
    from flows.catalog import accepted_manifest
    from flows.render_catalog import render_catalog
    from flows.screen import Screen
    from tasks.files import join
    from tasks.manifest import check_input_roots
    from tasks.report import read_report_lines

    check_input_roots(request.input_roots)
    accepted_manifest(request)  # a bad one is refused before a server is started
    start_server()
    with Screen().shown():
        state: State[Any] = render_catalog(request, return_state=True)  # type: ignore[assignment]  # the flow is not async
        if error := _error(state):
            raise error
    report = join(request.output, "results.csv")
    sys.stdout.write(read_report_lines(report) if json else f"{report}\n")
    return 0 if state.is_completed() else 1


def _error(state: "State[Any]") -> BaseException | None:
    """The exception that ended a flow; None if it ended by its own count."""
    result = state.result(raise_on_failure=False)
    return result if isinstance(result, BaseException) else None


def _given(**values: object) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _exit_code(error: Exception) -> int:
    from nst_core.errors import DatasetError, ModelError
    from tasks.files import StorageError

    if isinstance(error, StorageError):
        return STORAGE
    return DATA if isinstance(error, DatasetError | ModelError) else USAGE


def _refused(error: "ValidationError") -> str:
    """Say which option or variable has a value outside its range."""
    return "; ".join(
        f"{_as_given(error.title, each['loc'])} = {each['input']!r}: {each['msg']}"
        for each in error.errors()
    )


def _as_given(model: str, place: tuple[int | str, ...]) -> str:
    """The option or variable that a field of `model` is set by."""
    name = next(str(part) for part in reversed(place) if isinstance(part, str))
    option = "input_root" if name == "input_roots" else name
    return f"AMNST_{name.upper()}" if model == "Settings" else f"--{option.replace('_', '-')}"


def _interrupt_once(_signal: int, _frame: object) -> None:
    """Heed the first Ctrl-C only: a second must not cost the report that the first asks for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Threads that are at work may outlive the server they log to: nobody needs to see that.
    logging.raiseExceptions = False
    raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    from pydantic_core import ValidationError

    from nst_core.errors import NSTError

    limit_arenas()
    signal.signal(signal.SIGINT, _interrupt_once)
    try:
        code = app(arguments, exit_on_error=False, result_action="return_value")
    except CycloptsError:
        sys.exit(USAGE)
    except NSTError as error:
        sys.stderr.write(f"amnst: {error} [{error.code}]\n")
        sys.exit(_exit_code(error))
    except ValidationError as error:
        sys.stderr.write(f"amnst: {_refused(error)} [bad_value]\n")
        sys.exit(USAGE)
    except KeyboardInterrupt:
        sys.stderr.write("amnst: interrupted; run the same command to go on\n")
        sys.exit(INTERRUPTED)
    sys.exit(code)
