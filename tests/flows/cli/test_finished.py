"""`amnst render` of a finished catalogue, without a server."""

import os
import subprocess
import sys

import pytest


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
from flows.cli.command import main
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
