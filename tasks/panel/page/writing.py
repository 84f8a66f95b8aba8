"""Write the page of a listening test."""

from collections.abc import Sequence
from typing import NamedTuple

from tasks.panel.questions import QUESTIONS
from tasks.report.html import Part, one_file_page

PAGE, SOUNDS = "index.html", "sounds"
_OWN, _LISTENING = "tasks.panel.page", "tasks.report.page"
_SCRIPTS = (
    Part(_LISTENING, "elements.js"),
    Part(_OWN, "order.js"),
    Part(_OWN, "deck.js"),
    Part(_OWN, "answers.js"),
    Part(_OWN, "trial.js"),
    Part(_OWN, "screens.js"),
)
_STYLES = (Part(_LISTENING, "page.css"), Part(_OWN, "panel.css"))


class Trial(NamedTuple):
    """Random names of a pair, of its open references, and of the sounds to rate."""

    pair: str
    music: str
    ambience: str
    sounds: tuple[str, ...]


def render_page(trials: Sequence[Trial], *, panel: str, licence: str) -> bytes:
    """Return the page as UTF-8; nothing in it tells which sound is which.

    Parameters
    ----------
    panel
        Random name of the test, which the answers carry.
    licence
        Licence of the sounds; may be empty.
    """
    data = {
        "panel": panel,
        "trials": [trial._asdict() for trial in trials],
        "questions": [question.name for question in QUESTIONS],
    }
    return one_file_page(
        Part(_OWN, "panel.html"),
        _SCRIPTS,
        _STYLES,
        data,
        n_pairs=len(trials),
        n_sounds=len(trials[0].sounds),
        licence=licence,
    )
