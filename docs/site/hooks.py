"""What the build adds to the pages: the navigation, and the tables that come from the code.

MkDocs calls these functions; their names and arguments are its own.
"""

from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

from docs.site.notebook import as_markdown
from docs.site.reference import filled

SECTIONS = {
    "How to": "how-to",
    "Reference": "reference",
    "Explanation": "explanation",
    "Operations": "operations",
}
FIRST = (
    "index", "tutorial", "how-to/one-pair", "how-to/many-pairs", "how-to/listening-page",
    "how-to/workers", "how-to/inbox", "reference/command", "reference/manifest", "reference/report",
    "reference/error-codes", "explanation/how-it-works", "explanation/method",
    "explanation/quality", "explanation/speed", "operations/one-machine",
    "operations/many-machines",
)  # fmt: skip
"""Pages in the order of interest; all others follow by name."""

NOTEBOOK_HERE = "<!-- the notebook with its outputs -->"


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Put every page that is in a folder into the navigation."""
    pages = sorted((file.src_uri for file in files.documentation_pages()), key=_rank)
    alone = [page for page in pages if "/" not in page]
    sections = [
        {title: [page for page in pages if page.startswith(f"{folder}/")]}
        for title, folder in SECTIONS.items()
    ]
    config.nav = [*alone, *sections]
    return files


def _rank(page: str) -> tuple[int, str]:
    name = page.removesuffix(".md")
    return (FIRST.index(name) if name in FIRST else len(FIRST), page)


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Replace each `<!-- from the code: NAME -->` by its table, and `NOTEBOOK_HERE`."""
    if NOTEBOOK_HERE in markdown:
        markdown = markdown.replace(NOTEBOOK_HERE, as_markdown())
    return filled(markdown, page.file.src_uri)
