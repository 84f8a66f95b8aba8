"""The options of a render are the fields of its request."""

from dataclasses import fields

from flows.cli.options import RenderOptions
from flows.requests import RenderRequest
from nst_core.config import OutputConfig


def test_options_that_are_left_out_make_the_default_request():
    made = RenderOptions(output="out").request("m.csv")
    assert made == RenderRequest(manifest="m.csv", output="out")


def test_every_option_reaches_the_request():
    given = {
        "output": "out", "model": "m.weights.h5", "preset": ["closed"], "strength": ["0.3"],
        "format": "ogg", "sample_rate": 44_100, "loudness_lufs": -20.0, "album": True,
        "only": ["a"], "limit": 2, "force": True, "skip_invalid": True, "listen": "none",
        "input_root": ["in"], "excitation": 0.1, "timbre": 0.2, "grain": 0.3, "attack": 0.4,
        "swell": 0.5, "wet": 0.6,
    }  # fmt: skip
    assert set(given) == {each.name for each in fields(RenderOptions)}
    made = RenderOptions(**given).request("m.csv", shard_size=7, max_in_flight=None)
    assert made == RenderRequest(
        manifest="m.csv", output="out", model="m.weights.h5", preset="closed", strength=0.3,
        sound=OutputConfig(format="ogg", sample_rate=44_100, loudness_lufs=-20.0), album=True,
        only=("a",), limit=2, force=True, skip_invalid=True, listen="none", input_roots=("in",),
        shard_size=7, excitation=0.1, timbre=0.2, grain=0.3, attack=0.4, swell=0.5, wet=0.6,
    )  # fmt: skip
