"""The notebook of the documentation: its cells, run here, and stored with what they show.

`make media` runs this module. Jupyter itself is not needed: a cell is Python, and a result shows
itself as HTML.
"""

import ast
import contextlib
import io
import json
import os
import tempfile
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).parents[1] / "notebook.ipynb"
CELLS = (
    ("markdown", "# The rain plays the tune\n\nBoth sounds are synthesised by this package."),
    (
        "code",
        """\
from nst_core import transfer_style
from nst_core.synth.sounds import ambience, music_piece

sr = 22_050
tune = music_piece("folk", 7.0, seed=1000)
rain = ambience("rain", 7.0, seed=1000)""",
    ),
    (
        "markdown",
        """\
Arrays need their rate, `sr`. Files do not: `transfer_style("tune.wav", "rain.wav")`.
A result plays and draws itself.""",
    ),
    ("code", "result = transfer_style(tune, rain, sr=sr, strength=0.7)\nresult"),
    ("markdown", "The figures are attributes, and NumPy takes the result as an array."),
    ("code", "round(result.metrics.content, 2), round(result.metrics.texture, 2), result.y.shape"),
    ("markdown", "More strength gives more texture, and less of the tune."),
    (
        "code",
        """\
for strength in (0.25, 0.5, 0.75, 1.0):
    metrics = transfer_style(tune, rain, sr=sr, strength=strength).metrics
    print(f"{strength:4}  content {metrics.content:.2f}  texture {metrics.texture:.2f}")""",
    ),
    ("markdown", "A saved file is as loud as the music; its suffix chooses the format."),
    ("code", 'result.save("rain_plays_tune.ogg")'),
)


def write_notebook(path: Path) -> None:
    """Run all cells in order, in a temporary folder, and write the notebook."""
    names: dict[str, Any] = {"__name__": "__main__"}
    kept = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            cells = [_cell(n, kind, source, names) for n, (kind, source) in enumerate(CELLS)]
        finally:
            os.chdir(kept)
    notebook = {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(notebook, indent=1) + "\n", "utf-8")


def _cell(n: int, kind: str, source: str, names: dict[str, Any]) -> dict[str, Any]:
    cell: dict[str, Any] = {"cell_type": kind, "id": f"cell-{n}", "metadata": {}, "source": source}
    if kind == "code":
        count = sum(kind == "code" for kind, _ in CELLS[: n + 1])
        cell |= {"execution_count": count, "outputs": _outputs(source, count, names)}
    return cell


def _outputs(source: str, count: int, names: dict[str, Any]) -> list[dict[str, Any]]:
    """Run a cell; return what it prints, and its last line's value, as Jupyter stores them."""
    *statements, last = ast.parse(source).body
    value = None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        if not isinstance(last, ast.Expr):
            statements.append(last)
        exec(compile(ast.Module(statements, []), "notebook", "exec"), names)  # noqa: S102  # our own cells
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "notebook", "eval"), names)  # noqa: S307
    outputs: list[dict[str, Any]] = []
    if text := printed.getvalue():
        outputs.append({"output_type": "stream", "name": "stdout", "text": text})
    if value is not None:
        html = getattr(value, "_repr_html_", None)
        data = {"text/plain": repr(value)} | ({"text/html": html()} if html else {})
        outputs.append(
            {
                "output_type": "execute_result",
                "execution_count": count,
                "metadata": {},
                "data": data,
            }
        )
    return outputs


def as_markdown() -> str:
    """Return the stored notebook as a page shows it, without its title."""
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    parts = []
    for cell in cells[1:]:
        is_code = cell["cell_type"] == "code"
        parts.append(f"```python\n{cell['source']}\n```" if is_code else cell["source"])
        for output in cell.get("outputs", ()):
            data = output.get("data", {"text/plain": output.get("text", "")})
            parts.append(data.get("text/html") or f"```text\n{data['text/plain'].rstrip()}\n```")
    return "\n\n".join(parts)


if __name__ == "__main__":
    write_notebook(NOTEBOOK)
