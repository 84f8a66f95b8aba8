"""Counting: listeners with a known taste, and those who do not recognise the reference."""

import copy
import json
from typing import Any

import pytest

from nst_core.metrics.ratings import holm
from tasks.panel.answers import Answers
from tasks.panel.questions import QUESTIONS
from tasks.panel.scoring import PanelResult, score
from tasks.panel.words import as_json, as_text
from tests.panels import TASTE, fake_key, listener

KEY = fake_key(12)


def counted(sent: list[dict[str, Any]]) -> PanelResult:
    return score([Answers.model_validate(each) for each in sent], KEY)


@pytest.fixture(scope="module")
def result() -> PanelResult:
    return counted([listener(KEY, number) for number in range(10)])


def comparisons(result: PanelResult, question: str) -> dict[tuple[str, str], Any]:
    found = next(each for each in result.questions if each.question.name == question)
    return {(each.ours, each.other): each for each in found.comparisons}


def test_means_are_the_taste_of_the_listeners(result: PanelResult) -> None:
    for each in result.questions:
        taste = TASTE[each.question.name]
        assert {condition.name for condition in each.conditions} == set(taste)
        for condition in each.conditions:
            assert condition.mean.mean == pytest.approx(taste[condition.name], abs=3)
            assert condition.mean.low is not None
            assert condition.mean.low <= condition.mean.mean <= condition.mean.high
            assert set(condition.of_pairs) == {pair.id for pair in KEY.pairs}


def test_a_difference_is_found_where_there_is_one_and_only_there(result: PanelResult) -> None:
    tune, material = comparisons(result, "tune"), comparisons(result, "material")
    assert tune["ours_1", "mix"].difference.mean == pytest.approx(-15, abs=2)
    assert tune["ours_1", "mix"].corrected_p < 0.05
    assert material["ours_1", "mix"].difference.mean == pytest.approx(50, abs=2)
    assert material["ours_1", "mix"].corrected_p < 0.05
    assert comparisons(result, "pleasant")["ours_1", "mix"].corrected_p > 0.05


def test_both_strengths_are_compared_with_each_cheat_and_corrected_together(
    result: PanelResult,
) -> None:
    found = comparisons(result, "tune")
    assert set(found) == {
        (mine, other) for mine in ("ours_0.7", "ours_1") for other in ("mix", "eq_mix", "vocoder")
    }
    corrected = [each.corrected_p for each in found.values()]
    assert corrected == pytest.approx(holm([each.p for each in found.values()]))


def test_the_listeners_are_the_sample_and_not_their_ratings() -> None:
    # Five listeners of one mind with 12 pairs each: no p value below 2 / 2**5.
    few = counted([listener(KEY, number) for number in range(5)])
    assert min(each.p for each in comparisons(few, "material").values()) == pytest.approx(1 / 16)
    assert "fewer than six" in as_text(few)


def test_the_order_of_pairs_and_sounds_in_a_file_does_not_matter() -> None:
    sent = [listener(KEY, number) for number in range(6)]
    mixed = copy.deepcopy(sent)
    for each in mixed:
        each["answers"].reverse()
        for answer in each["answers"]:
            answer["scores"] = dict(reversed(answer["scores"].items()))
    assert counted(mixed) == counted(sent)


@pytest.mark.parametrize("question", ["tune", "material"])
def test_who_misses_the_reference_too_often_is_left_out_and_named(question: str) -> None:
    good = [listener(KEY, number) for number in range(6)]
    once = listener(KEY, 6, name="Once", missed={question: 1})
    often = listener(KEY, 7, name="Often", missed={question: 2})  # 17 % of 12
    result = counted([*good, once, often])
    assert [each.listener for each in result.left_out] == [f"Often ({7:016x})"]
    assert result.left_out[0].question.name == question
    assert result.left_out[0].n_missed == 2
    assert result.questions == counted([*good, once]).questions
    assert "left out: Often" in as_text(result)
    assert "2 of 12 pairs" in as_text(result)


def test_where_there_is_no_reference_nobody_is_left_out() -> None:
    dull = {**TASTE, "pleasant": dict.fromkeys(TASTE["pleasant"], 10.0)}
    assert counted([listener(KEY, 1, taste=dull)]).left_out == ()


def test_if_nobody_recognises_the_references_nothing_is_counted() -> None:
    result = counted([listener(KEY, number, missed={"tune": 12}) for number in range(3)])
    assert result.questions == ()
    assert "nobody is left" in as_text(result)
    assert json.loads(as_json(result))["questions"] == {}


def test_one_listener_has_means_without_intervals() -> None:
    result = counted([listener(KEY, 1)])
    assert "one listener" in as_text(result)
    found = json.loads(as_json(result))["questions"]["tune"]["conditions"]["music"]
    assert found["low"] is None
    assert found["mean"] > 90


def test_the_table_shows_each_question_from_best_to_worst(result: PanelResult) -> None:
    lines = as_text(result).splitlines()
    assert lines[0] == "12 pairs, 10 listeners"
    start = lines.index("Is it made of the ambience?")
    assert lines[start + 2].startswith("  the ambience itself ")
    assert lines[start + 3].startswith("  ours, strength 1 ")
    best = comparisons(result, "material")["ours_1", "mix"].difference.mean
    compared = [line for line in lines if line.startswith("  ours, strength 1 minus plain mix: ")]
    assert len(compared) == 3
    assert f": {best:+.1f} (" in compared[1]


def test_the_json_holds_what_the_table_holds(result: PanelResult) -> None:
    found = json.loads(as_json(result))
    assert list(found["questions"]) == [each.name for each in QUESTIONS]
    for each in result.questions:
        conditions = found["questions"][each.question.name]["conditions"]
        for condition in each.conditions:
            assert conditions[condition.name]["mean"] == condition.mean.mean
            assert conditions[condition.name]["pairs"] == condition.of_pairs
