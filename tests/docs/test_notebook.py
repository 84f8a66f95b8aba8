"""The notebook of the documentation: it has been run, it is small, and one command makes it."""

import json
from pathlib import Path

import pytest

from docs.site.notebook import CELLS, NOTEBOOK, as_markdown, write_notebook


def cells(path: Path):
    notebook = json.loads(path.read_text("utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    return notebook["cells"]


def kinds_of_outputs(path: Path):
    return [
        [(output["output_type"], *sorted(output.get("data", {}))) for output in cell["outputs"]]
        for cell in cells(path)
        if cell["cell_type"] == "code"
    ]


def test_the_notebook_has_the_cells_of_its_source_and_is_small():
    assert NOTEBOOK.stat().st_size < 400_000
    assert [(cell["cell_type"], cell["source"]) for cell in cells(NOTEBOOK)] == list(CELLS)
    assert len({cell["id"] for cell in cells(NOTEBOOK)}) == len(CELLS)


@pytest.mark.slow
def test_the_command_runs_every_cell_and_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_notebook(tmp_path / "made.ipynb")
    assert Path.cwd() == tmp_path
    assert [path.name for path in tmp_path.iterdir()] == ["made.ipynb"]
    assert kinds_of_outputs(tmp_path / "made.ipynb") == kinds_of_outputs(NOTEBOOK)
    shown = [kind for outputs in kinds_of_outputs(NOTEBOOK) for kind in outputs]
    assert ("execute_result", "text/html", "text/plain") in shown
    assert ("stream",) in shown


def test_the_page_shows_every_cell_with_its_player_and_picture():
    page = as_markdown()
    for _, source in CELLS[1:]:
        assert source in page
    assert page.count('<audio controls src="data:audio/mpeg;base64,') == 1
    assert page.count('src="data:image/webp;base64,') == 1
    assert "content 0." in page
