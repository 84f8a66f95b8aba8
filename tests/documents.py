"""Code that a reader copies from our documents: code blocks, and code in the text."""

import ast
import shlex
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]
_MARKDOWN = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class Block:
    """A block of code; `language` is the word after the fence, by default sh."""

    document: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """Return the lines of a shell block, with continued lines joined."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def pages() -> list[str]:
    """Return every document that a reader of the project finds, the READMEs first."""
    folder = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))
    return ["README.md", "deployments/README.md", *folder]


def blocks(document: str) -> list[Block]:
    """Return all blocks of code, in order."""
    tokens = _MARKDOWN.parse((ROOT / document).read_text("utf-8"))
    return [
        Block(document, (token.map or [0])[0] + 1, token.info or "sh", token.content)
        for token in tokens
        if token.type in {"fence", "code_block"}
    ]


def spans(document: str) -> list[str]:
    """Return all code in the text, in order."""
    tokens = _MARKDOWN.parse((ROOT / document).read_text("utf-8"))
    return [
        child.content
        for token in tokens
        for child in token.children or ()
        if child.type == "code_inline"
    ]


def words(command: str) -> list[str]:
    """The words of a simple command, up to a redirection or a comment."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="<>|;&")
    lexer.whitespace_split = True
    found = list(lexer)
    ends = [n for n, word in enumerate(found) if set(word) <= set("<>|;&")]
    return found[: ends[0]] if ends else found


def is_python(span: str) -> bool:
    """Say whether code in the text is a statement to run: an import or a call."""
    try:
        statements = ast.parse(span).body
    except SyntaxError:
        return False
    return any(
        isinstance(each, ast.Import | ast.ImportFrom)
        or (isinstance(each, ast.Expr) and isinstance(each.value, ast.Call))
        for each in statements
    )
