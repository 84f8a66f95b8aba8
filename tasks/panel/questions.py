"""Questions and conditions of a listening test."""

from typing import NamedTuple

MUSIC, AMBIENCE, LOW_PASS = "music", "ambience", "low_pass"
CHEATS = {"mix": "plain mix", "eq_mix": "equalised music, mixed", "vocoder": "vocoder"}
"""Sounds that are no transfer, which ours are compared with."""
_OURS = "ours_"


class Question(NamedTuple):
    """What listeners rate from 0 to 100; `reference` is the condition that earns 100, if any."""

    name: str
    title: str
    reference: str | None


QUESTIONS = (
    Question("tune", "Is the tune there?", MUSIC),
    Question("material", "Is it made of the ambience?", AMBIENCE),
    Question("pleasant", "Is it pleasant?", None),
)


def ours(strength: float) -> str:
    """Return the condition that is a transfer of this strength."""
    return f"{_OURS}{strength:g}"


def is_ours(condition: str) -> bool:
    """Return whether a condition is a transfer."""
    return condition.startswith(_OURS)


def titles(strengths: tuple[float, ...]) -> dict[str, str]:
    """Return every condition of a test, and its name for people."""
    return {
        MUSIC: "the music itself",
        AMBIENCE: "the ambience itself",
        LOW_PASS: "music below 3.5 kHz (low anchor)",
        **CHEATS,
        **{ours(each): f"ours, strength {each:g}" for each in strengths},
    }
