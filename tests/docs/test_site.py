"""The documentation as a site: it builds, and its links and tables are complete."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt

from docs.site.reference import TABLES, filled
from flows.settings import Settings
from nst_core import __version__
from tests.documents import ROOT, pages

CONFIG = ROOT / "docs" / "site" / "mkdocs.yml"


def links(document):
    """Return the relative places that a document links to."""
    tokens = MarkdownIt("commonmark").enable("table").parse((ROOT / document).read_text("utf-8"))
    children = [child for token in tokens for child in token.children or ()]
    found = [child.attrs.get("href") or child.attrs.get("src") for child in children if child.attrs]
    return [place.partition("#")[0] for place in found if "://" not in place and place[0] != "#"]


@pytest.mark.parametrize("document", pages())
def test_every_link_of_a_document_leads_to_a_file(document):
    for place in links(document):
        assert (ROOT / document).parent.joinpath(place).exists(), place


def build(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", CONFIG,
         "--site-dir", folder, *more],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.heavy
def test_the_site_builds_without_a_warning_and_holds_every_page(tmp_path):
    done = build(tmp_path)
    assert done.returncode == 0, done.stderr
    for page in (ROOT / "docs").rglob("*.md"):
        written = tmp_path / page.relative_to(ROOT / "docs").with_suffix(".html")
        html = written.read_text("utf-8")
        assert "<!-- from the code:" not in html
        assert html.count(f'href="{written.name}"') or page.stem == "index", "in the navigation"
        # What a reader's browser would fetch from elsewhere.
        assert "fonts.googleapis" not in html
        assert "unpkg.com" not in html
    command = (tmp_path / "reference" / "command.html").read_text("utf-8")
    assert "amnst render --output STR" in command


def test_a_table_that_does_not_exist_is_refused():
    with pytest.raises(LookupError, match="there is no table 'no such'"):
        filled("<!-- from the code: no such -->", "page.md")


def test_every_table_from_the_code_is_in_a_page_and_has_full_rows():
    text = "\n".join((ROOT / name).read_text("utf-8") for name in pages())
    for name, table in TABLES.items():
        assert f"<!-- from the code: {name} -->" in text
        rows = [line for line in table().splitlines() if line.startswith("|")]
        assert name == "commands" or len(rows) > 3
        for header, rule in pairwise(rows):
            if set(rule) <= set("| -"):
                assert header.count("|") == rule.count("|")


def test_every_setting_of_the_machine_is_described():
    page = (ROOT / "docs" / "reference" / "settings.md").read_text("utf-8")
    for name in Settings.model_fields:
        assert f"| `AMNST_{name.upper()}` |" in page


def test_the_citation_names_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == __version__
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
