"""HTML pages that consist of one file, run no script but their own, and treat data as text."""

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

_POLICY = (
    "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; "
    "img-src 'self' file: data:; media-src 'self' file: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)
"""Only the page's own script and style run. A browser may not count other files of a local
folder as 'self'."""


class Part(NamedTuple):
    """A file of a package, such as a script."""

    package: str
    name: str


def one_file_page(
    template: Part, scripts: Sequence[Part], styles: Sequence[Part], data: Any, **values: Any
) -> bytes:
    """Return a page as UTF-8, with its scripts, styles and data in it.

    Parameters
    ----------
    template
        Jinja template with the variables `policy`, `script`, `style` and `data`.
    data
        Value that JSON can hold, for an element of the type ``application/json``.
    **values
        Further variables of the template; they are escaped.
    """
    script, style = _joined(tuple(scripts)), _joined(tuple(styles))
    page: str = _template(template).render(
        policy=_POLICY.format(script=_sha256(script), style=_sha256(style)),
        script=Markup(script),  # noqa: S704  # our own file
        style=Markup(style),  # noqa: S704  # our own file
        data=Markup(as_data(data)),  # noqa: S704  # escaped
        **values,
    )
    return page.encode("utf-8", "replace")


def as_data(value: Any) -> str:
    """Return JSON that cannot end a ``<script>`` element or begin a comment in it."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


@cache
def _template(part: Part) -> Any:
    environment = Environment(
        loader=PackageLoader(part.package, "."), autoescape=True, trim_blocks=True
    )
    return environment.get_template(part.name)


@cache
def _joined(parts: tuple[Part, ...]) -> str:
    texts = ((files(part.package) / part.name).read_text("utf-8") for part in parts)
    return "\n".join(texts).strip()


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
