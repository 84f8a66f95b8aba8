"""Every error code of the product is in the table, and the table has no other."""

import ast

import pytest

from flows.cli import error_codes
from flows.cli.error_codes import ERROR_CODES, GROUPS
from tests.command_line import main
from tests.documents import ROOT

PACKAGES = ("nst_core", "tasks", "flows", "deployments")
TABLE = error_codes.__file__
FIRST = {"AudioError", "_refuse"}
"""Calls whose first argument is the code."""
LAST = {"_report", "RowProblem"}
"""Calls with the code among the arguments by position."""
MADE = {"duplicate_id", "duplicate_output"}
"""Codes that are put together from a text and a column's name."""


def trees():
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            if str(path) != TABLE:
                yield ast.parse(path.read_text("utf-8"))


def texts(node):
    """Return the texts that a value can be, whatever a condition says."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return {node.value}
    if isinstance(node, ast.IfExp):
        return texts(node.body) | texts(node.orelse)
    return set()


def raised(node):
    """Return the codes that one piece of code gives to an error."""
    if isinstance(node, ast.keyword) and node.arg == "code":
        return texts(node.value)
    if isinstance(node, ast.Assign):
        named = any(isinstance(each, ast.Name) and each.id == "code" for each in node.targets)
        return texts(node.value) if named else set()
    if isinstance(node, ast.Call) and node.args:
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if name in FIRST:
            return texts(node.args[0])
        if name in LAST:
            return texts(node.args[-1]) if name == "_report" else set()
    if isinstance(node, ast.FunctionDef):
        options = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        return {text for arg, default in options if arg.arg == "code" for text in texts(default)}
    return set()


def test_every_code_that_is_raised_is_explained():
    codes = {code for tree in trees() for node in ast.walk(tree) for code in raised(node)}
    assert len(codes) > 70, "the search finds the codes"
    assert codes - set(ERROR_CODES) == set()


def test_every_code_that_is_explained_is_in_the_product():
    words = {
        node.value for tree in trees() for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }  # fmt: skip
    assert set(ERROR_CODES) - words - MADE == set()


def test_a_code_is_explained_once():
    assert sum(map(len, GROUPS.values())) == len(ERROR_CODES)
    assert all(each.meaning and each.way_out for each in ERROR_CODES.values())


def test_explain_prints_the_meaning_and_the_way_out(capsys):
    for given in ("too_short", "[too_short]"):
        with pytest.raises(SystemExit) as ended:
            main(["explain", given])
        assert not ended.value.code
        out = capsys.readouterr().out
        assert out.startswith("too_short: ")
        assert f"way out: {ERROR_CODES['too_short'].way_out}" in out


def test_explain_refuses_what_is_not_a_code(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["explain", "no_such"])
    assert ended.value.code == 2
    assert "'no_such' is not an error code; the codes are " in capsys.readouterr().err
