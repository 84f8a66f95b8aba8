"""Files that listeners send back: each is checked, and a bad one never stops the others."""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from nst_core.errors import NSTError
from tasks.panel.errors import PanelError
from tasks.panel.key import Key, Name
from tasks.panel.questions import QUESTIONS
from tasks.storage.files import describe, read_bytes

_FORMAT = "amnst-panel-answers"
_MOST_BYTES = 4 << 20
_SHOWN = 60

Score = Annotated[int, Field(strict=True, ge=0, le=100)]


class Answer(BaseModel):
    """Ratings of all sounds of a pair, for one question."""

    model_config = ConfigDict(frozen=True)

    pair: Name
    question: str
    scores: dict[Name, Score]


class Answers(BaseModel):
    """What one listener has sent; the order of the sounds followed from `seed`."""

    model_config = ConfigDict(frozen=True)

    format: Literal["amnst-panel-answers"]
    version: Literal[1]
    panel: Name
    listener: Name
    seed: int
    name: str = ""
    headphones: str = ""
    comment: str = ""
    started_at: str = ""
    finished_at: str = ""
    answers: tuple[Answer, ...]

    @property
    def shown_name(self) -> str:
        """Name for people: without control characters, which could command a terminal."""
        name = "".join(each for each in self.name if each.isprintable()).strip()[:_SHOWN]
        return f"{name} ({self.listener})" if name else self.listener

    def scores(self, pair: str, question: str) -> dict[Name, Score]:
        """Return the ratings of a pair for a question."""
        return next(
            each.scores for each in self.answers if (each.pair, each.question) == (pair, question)
        )


def read_answers(places: Iterable[str], key: Key) -> tuple[list[Answers], list[NSTError]]:
    """Read the files of all listeners; return those that count, and why the others do not.

    The codes of the errors are ``not_found`` and others of the storage, ``too_big``,
    ``not_answers``, ``bad_answers``, ``foreign_answers``, ``incomplete_answers`` and
    ``duplicate_listener``.
    """
    found: dict[str, tuple[str, Answers]] = {}
    refused: list[NSTError] = []
    for place in places:
        try:
            answers = _read(place, key)
            if answers.listener in found:
                raise PanelError(
                    f"{place}: is of the same listener as {found[answers.listener][0]}, which "
                    "counts; give only one of them",
                    code="duplicate_listener",
                )
        except NSTError as error:
            refused.append(error)
        else:
            found[answers.listener] = place, answers
    return [answers for _, answers in found.values()], refused


def _read(place: str, key: Key) -> Answers:
    found = describe(place)
    if found is not None and found.size > _MOST_BYTES:
        raise PanelError(
            f"{place}: has {found.size} bytes, answers have at most {_MOST_BYTES}; name the files "
            "that listeners have saved",
            code="too_big",
        )
    data = read_bytes(place)
    try:
        value = from_json(data, allow_inf_nan=False)
    except ValueError:
        raise PanelError(
            f"{place}: is not JSON, so it is damaged or cut off; ask the listener to save the "
            "answers again",
            code="bad_answers",
        ) from None
    if not isinstance(value, dict) or value.get("format") != _FORMAT:
        raise PanelError(
            f"{place}: is not a file of answers; name the files that listeners have saved",
            code="not_answers",
        )
    try:
        answers = Answers.model_validate(value)
    except ValidationError as error:
        raise PanelError(f"{place}: {_first_rule(error)}", code="bad_answers") from None
    _check_complete(place, answers, key)
    return answers


def _first_rule(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    value = repr(first["input"])
    shown = value if len(value) <= _SHOWN else f"{value[: _SHOWN - 3]}..."
    rule = first["msg"][:1].lower() + first["msg"][1:]
    return f"{where[:_SHOWN]!r} = {shown}: {rule}; ask the listener to save the answers again"


def _check_complete(place: str, answers: Answers, key: Key) -> None:
    sounds = {pair.pair: set(pair.sounds) for pair in key.pairs}
    wanted = {(pair, question.name) for pair in sounds for question in QUESTIONS}
    given = [(each.pair, each.question) for each in answers.answers]
    is_foreign = any(
        each.pair not in sounds or not set(each.scores) <= sounds[each.pair]
        for each in answers.answers
    )
    if answers.panel != key.panel or is_foreign or not set(given) <= wanted:
        raise PanelError(
            f"{place}: answers test {answers.panel}, but the key is that of {key.panel}; name the "
            "key.json of that test with --key",
            code="foreign_answers",
        )
    if len(set(given)) < len(given):
        raise PanelError(
            f"{place}: answers a question twice; ask the listener to save the answers again",
            code="bad_answers",
        )
    n_done = sum(set(each.scores) == sounds[each.pair] for each in answers.answers)
    if n_done < len(wanted):
        raise PanelError(
            f"{place}: answers {n_done} of {len(wanted)} questions; ask the listener to open the "
            "page again in the same browser, to finish, and to save the answers",
            code="incomplete_answers",
        )
