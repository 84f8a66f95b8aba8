"""The command in this process, and a finished catalogue that it works on."""

from pathlib import Path

import pytest

from tests.command_line import main


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


@pytest.fixture
def one_pair(catalogue, tmp_path, environment):
    """Arguments of `amnst transfer` for the first pair of the catalogue."""
    row = catalogue.rows[0]
    folder = Path(catalogue.manifest).parent
    inputs = str(folder / row["ambience"]), str(folder / row["music"])
    with environment(tmp_path):
        yield *inputs, "--model", catalogue.model, "--preset", "closed"
