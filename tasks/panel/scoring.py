"""Count the answers of a listening test.

The method is that of ITU-R BS.1534-3: listeners who do not recognise the hidden reference are left
out, and means have an interval of 95 %. A listener's mean over all pairs is one value of the
sample: two ratings of one person are not independent.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nst_core.metrics.ratings import Mean, holm, mean_of, signed_rank_p
from tasks.panel.answers import Answers
from tasks.panel.key import Key
from tasks.panel.questions import CHEATS, QUESTIONS, Question, is_ours

_RECOGNISED = 90
_MOST_MISSED = 0.15
"""BS.1534-3, 4.1.2: a listener who rates the hidden reference below 90 in more than 15 % of the
trials is left out."""


@dataclass(frozen=True)
class LeftOut:
    """A listener who is left out, and in how many pairs the reference was missed."""

    listener: str
    question: Question
    n_missed: int
    n_pairs: int


@dataclass(frozen=True)
class Condition:
    """A condition's ratings for one question, 0 to 100; `of_pairs` has a mean per pair's id."""

    name: str
    mean: Mean
    of_pairs: dict[str, float]


@dataclass(frozen=True)
class Comparison:
    """Ours minus another condition; `corrected_p` is Holm's for all comparisons of a question."""

    ours: str
    other: str
    difference: Mean
    p: float
    corrected_p: float


@dataclass(frozen=True)
class Counted:
    """Result of one question."""

    question: Question
    conditions: tuple[Condition, ...]
    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True)
class PanelResult:
    """Result of a test; `questions` is empty if every listener is left out."""

    key: Key
    listeners: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    questions: tuple[Counted, ...]


def score(answers: Sequence[Answers], key: Key) -> PanelResult:
    """Count complete answers to the test of `key`."""
    left_out = [miss for each in answers for miss in _missed(each, key)]
    names = {each.listener for each in left_out}
    kept = [each for each in answers if each.shown_name not in names]
    questions = [_counted(question, kept, key) for question in QUESTIONS] if kept else []
    return PanelResult(
        key, tuple(each.shown_name for each in kept), tuple(left_out), tuple(questions)
    )


def _missed(answers: Answers, key: Key) -> list[LeftOut]:
    """Return the questions whose hidden reference the listener has not recognised."""
    found = []
    for question in QUESTIONS:
        if question.reference is None:
            continue
        ratings = _ratings(question, answers, key)[
            :, list(key.conditions).index(question.reference)
        ]
        n_missed = int((ratings < _RECOGNISED).sum())
        if n_missed > _MOST_MISSED * len(ratings):
            found.append(LeftOut(answers.shown_name, question, n_missed, len(ratings)))
    return found


def _ratings(question: Question, answers: Answers, key: Key) -> npt.NDArray[np.float64]:
    """Return a listener's ratings, shape (n_pairs, n_conditions), in the key's order."""
    rows = []
    for pair in key.pairs:
        scores = answers.scores(pair.pair, question.name)
        by_condition = {pair.sounds[sound]: value for sound, value in scores.items()}
        rows.append([by_condition[condition] for condition in key.conditions])
    return np.array(rows, float)


def _counted(question: Question, kept: Sequence[Answers], key: Key) -> Counted:
    ratings = np.array([_ratings(question, each, key) for each in kept])
    by_listener = dict(zip(key.conditions, ratings.mean(axis=1).T, strict=True))
    by_pair = dict(zip(key.conditions, ratings.mean(axis=0).T, strict=True))
    conditions = [
        Condition(
            name,
            mean_of(by_listener[name]),
            {pair.id: float(mean) for pair, mean in zip(key.pairs, by_pair[name], strict=True)},
        )
        for name in key.conditions
    ]
    compared = [(mine, other) for mine in key.conditions if is_ours(mine) for other in CHEATS]
    differences = [by_listener[mine] - by_listener[other] for mine, other in compared]
    p_values = [signed_rank_p(each) for each in differences]
    comparisons = [
        Comparison(*names, mean_of(difference), p, corrected)
        for names, difference, p, corrected in zip(
            compared, differences, p_values, holm(p_values), strict=True
        )
    ]
    return Counted(question, tuple(conditions), tuple(comparisons))
