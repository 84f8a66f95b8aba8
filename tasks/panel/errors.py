"""Error of a listening test."""

from nst_core.errors import NSTError


class PanelError(NSTError):
    """A listening test that cannot be built, or answers that cannot be counted."""
