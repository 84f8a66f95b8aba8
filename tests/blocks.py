"""Other block sizes for a test."""

import dataclasses

from nst_core.streaming import block_sizes


def use_blocks(monkeypatch, **sizes):
    """Replace some of the sizes until the test ends."""
    monkeypatch.setattr(block_sizes, "SIZES", dataclasses.replace(block_sizes.SIZES, **sizes))
