"""The `amnst` command: stdout is data, stderr is for people.

Exit codes: 0 success, 1 some rows failed, 2 usage, manifest or server error, 3 storage error,
4 dataset or model error, 129 stopped by SIGHUP, 130 interrupted, 141 the reader of stdout has
ended, 143 stopped by SIGTERM.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App, CycloptsError, CycloptsPanel, Parameter

from flows.cli.audition_command import audition
from flows.cli.check_command import check
from flows.cli.exit_codes import DATA, PIPE_CLOSED, STORAGE, USAGE
from flows.cli.interruption import (
    heeding_sigterm,
    is_interrupted,
    leave_stdout,
)
from flows.cli.options import Globs, RenderOptions, Sets
from flows.cli.pair_commands import plan, plan_here, transfer
from flows.cli.panel_commands import panel
from flows.cli.rendering import error_of, render_here
from flows.cli.report_commands import explain, report, verify
from flows.cli.run_commands import cancel, retry, schedule, schedules, submit, unschedule, wait
from flows.cli.server_commands import deploy, doctor, serve, worker
from flows.server.environment import prepare_prefect
from flows.server.proxies import reach_local_servers_directly
from nst_core import __version__
from nst_core.errors import ConfigError
from nst_core.runtime.memory import limit_arenas

if TYPE_CHECKING:
    from pydantic_core import ValidationError

app = App(
    name="amnst",
    help="Ambience-to-music neural style transfer in batch: the rain plays the tune.",
    help_format="plaintext",
    version=__version__,
    version_flags=["--version"],
    default_parameter=Parameter(negative_iterable=()),  # nobody needs an --empty-music
    suppress_keyboard_interrupt=False,  # `main` tells the user what to do next
)


@app.command
def render(
    manifest: str | None = None,
    *,
    ambience: Globs | None = None,
    music: Globs | None = None,
    settings: Sets = None,
    options: RenderOptions,
    json: bool = False,
    verbose: bool = False,
) -> int:
    """Render the pairs of a manifest on this machine, or every ambience with every music.

    Parameters
    ----------
    manifest
        CSV file, as a path or s3:// URI; docs/reference/manifest.md describes its columns.
    ambience
        In place of a manifest: files, folders or quoted patterns, as for `plan`.
    music
        In place of a manifest: files, folders or quoted patterns.
    settings
        In place of a manifest: cells for all rows, such as loudness_lufs=-18; several values of a
        column make a row of each.
    json
        Print one line of JSON per row to stdout.
    verbose
        Show Prefect's own log.
    """
    prepare_prefect(verbose=verbose)
    if manifest is None:
        manifest, options = plan_here(ambience, music, settings, options)
    elif ambience or music or settings:
        raise ConfigError("give a manifest, or --ambience and --music (and --set), not both")
    request = options.request(manifest)
    code = render_here(request, verbose=verbose)
    from tasks.report.tables import read_report_lines
    from tasks.storage.uris import join

    written = join(request.output, "results.csv")
    sys.stdout.write(read_report_lines(written) if json else f"{written}\n")
    return code


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
        Folder or archive with one folder per genre, like GTZAN: path, s3:// or https:// URI.
    output
        Folder or s3:// prefix for the weights and the model card.
    sha256
        Expected SHA-256 of the archive.
    licence
        Licence of the data, for the model card.
    epochs
        Number of epochs.
    batch_size
        Segments per training step.
    seed
        Seed of the training.
    verbose
        Show Prefect's own log.
    """
    prepare_prefect(verbose=verbose)
    from flows.cli.screen import Screen

    with Screen().shown() as screen:
        screen.stage("start Prefect")
        from flows.cli.own_server import own_server

        wait_for_server = own_server(verbose=verbose)
        from flows.train_classifier import TrainRequest, train_classifier
        from nst_core.config import TrainingConfig

        training = _given(n_epochs=epochs, batch_size=batch_size, seed=seed)
        request = TrainRequest.model_validate(
            {
                "dataset": dataset,
                "output": output,
                "sha256": sha256,
                "training": TrainingConfig(**training),
                **_given(licence=licence),
            }
        )
        wait_for_server()
        state = heeding_sigterm(train_classifier)(request, return_state=True)
        if state.is_cancelled() and is_interrupted():
            raise KeyboardInterrupt
        if error := error_of(state):
            raise error
        result = state.result()
        low, high = result.track_interval
        screen.say(
            f"validation accuracy {result.track_accuracy:.3f} per track "
            f"({low:.3f} to {high:.3f}, {result.n_validation_tracks} tracks)"
        )
        for skipped in result.skipped:
            screen.say(f"skipped: {skipped}")
        if result.passed_over:
            counts = ", ".join(
                f"{n} {suffix or 'without suffix'}" for suffix, n in result.passed_over.items()
            )
            screen.say(f"passed over, because they are not tracks of a genre: {counts}")
    print(result.weights)
    return 0


@app.command
def demo(folder: Path = Path("demo"), *, verbose: bool = False) -> int:
    """Train and render with synthesised sounds.

    Parameters
    ----------
    folder
        Folder for all files of the demo.
    verbose
        Show Prefect's own log.
    """
    from flows.cli.screen import working

    with working("making music, rain, wind, waves and fire"):
        from nst_core.synth.demo_files import TRAINING, make_demo_files

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


app.command(plan)
app.command(check)
app.command(transfer)
app.command(audition)
app.command(report)
app.command(panel)
app.command(explain)
app.command(verify)
for _command in (submit, wait, retry, cancel, schedule, schedules, unschedule):
    app.command(_command)
for _server_command in (serve, deploy, worker, doctor):
    app.command(_server_command)


def _given(**values: object) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _exit_code(error: Exception) -> int:
    from flows.server.home import HomeError
    from nst_core.errors import DatasetError, ModelError
    from tasks.storage.errors import StorageError

    if isinstance(error, StorageError | HomeError):
        return STORAGE
    return DATA if isinstance(error, DatasetError | ModelError) else USAGE


def _refused(error: "ValidationError") -> str:
    """Name the options or variables whose values are outside their range."""
    return "; ".join(
        f"{name} {each['msg']}"
        if each["type"] == "login_in_place"
        else f"{name} = {each['input']!r}: {each['msg'].removeprefix('Value error, ')}"
        for each in error.errors()
        for name in [_as_given(error.title, each["loc"])]
    )


def _fit_to_print(text: str, arguments: list[str] | None) -> str:
    """Remove from a message all logins that the command line contains, in any form."""
    from tasks.storage.credentials import holds_login, scrub

    for argument in filter(holds_login, sys.argv[1:] if arguments is None else arguments):
        text = text.replace(argument, "***")
    return scrub(text)


def _as_given(model: str, place: tuple[int | str, ...]) -> str:
    """Return the option or variable that sets a field of `model`."""
    name = next((str(part) for part in reversed(place) if isinstance(part, str)), None)
    if name is None:  # concerns Prefect's settings as a whole: the message explains it
        return "PREFECT_*"
    option = "input_root" if name == "input_roots" else name
    return f"AMNST_{name.upper()}" if model == "Settings" else f"--{option.replace('_', '-')}"


def run(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    from pydantic_core import ValidationError

    from nst_core.errors import NSTError

    limit_arenas()
    reach_local_servers_directly()
    try:
        code = app(
            arguments,
            exit_on_error=False,
            error_formatter=lambda error: CycloptsPanel(_fit_to_print(str(error), arguments)),
            result_action="return_value",
        )
        sys.stdout.flush()  # here, because an error at the end of the process cannot be caught
    except CycloptsError:
        return USAGE
    except NSTError as error:
        sys.stderr.write(f"amnst: {_fit_to_print(str(error), arguments)} [{error.code}]\n")
        return _exit_code(error)
    except ValidationError as error:
        sys.stderr.write(f"amnst: {_fit_to_print(_refused(error), arguments)} [bad_value]\n")
        return USAGE
    except BrokenPipeError:  # the reader of stdout, such as `head`, has seen enough
        leave_stdout()
        return PIPE_CLOSED
    return code or 0
