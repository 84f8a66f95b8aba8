"""How the listening page plays a pair's inputs; light to import, for the command line."""

from typing import Literal

Inputs = Literal["links", "previews", "none"]
"""From their own files where a browser can reach them, from short copies, or not at all."""
DEFAULT_INPUTS: Inputs = "links"

PREVIEW_S = 10.0
"""Length of a short copy: its first seconds."""
