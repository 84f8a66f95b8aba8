"""What the figures mean, in words."""

import pytest

from tasks.report.words import doubt, in_words

GOOD = {"content": 0.8, "texture": 0.8, "identity": 0.6, "carrier_db": 4.0, "follow": 0.6}


def test_a_good_transfer_is_described_as_one() -> None:
    assert in_words(GOOD, 1.0) == (
        "the tune is clear; it is full of the ambience's texture; it sounds like the ambience; "
        "it is more than a mix of the two"
    )


@pytest.mark.parametrize(
    ("identity", "words"),
    [(0.3, "it sounds partly like the ambience"),
     (0.1, "it sounds like the music's own instruments")],
)  # fmt: skip
def test_identity_decides_what_it_is_said_to_sound_like(identity: float, words: str) -> None:
    assert f"; {words}; " in in_words({**GOOD, "identity": identity}, 1.0)


def test_nothing_is_said_of_an_identity_that_is_unknown() -> None:
    assert "sounds" not in in_words({**GOOD, "identity": None}, 1.0)


@pytest.mark.parametrize(
    ("content", "words"),
    [(0.7, "the tune is clear"), (0.6, "the tune is there"), (0.4, "the tune is faint"),
     (0.1, "the tune is lost"), (float("nan"), "the tune is lost"),
     (None, "its inputs are too alike")],
)  # fmt: skip
def test_content_decides_what_is_said_of_the_tune(content: float, words: str) -> None:
    assert in_words({**GOOD, "content": content}, 1.0).startswith(words)


@pytest.mark.parametrize("missed", [{"carrier_db": 2.0}, {"follow": 0.1}])
def test_a_mix_is_a_fault_only_at_full_strength(missed: dict[str, float]) -> None:
    assert in_words({**GOOD, **missed}, 1.0).endswith("it is close to a mix of the two")
    assert in_words({**GOOD, **missed}, 0.7).endswith("as expected at a strength of 0.7")


def test_strength_0_is_the_music() -> None:
    assert in_words(GOOD, 0) == "this is the music itself"


@pytest.mark.parametrize(
    ("missed", "strength", "words"),
    [
        ({}, 1.0, ""),
        ({"content": 0.4}, 0.7, "the tune is faint"),
        ({"texture": 0.4}, 0.7, ""),
        ({"texture": 0.4}, 1.0, "it has a little of the ambience's texture"),
        ({"follow": 0.1}, 0.7, ""),
        ({"follow": 0.1}, 1.0, "it is close to a mix of the two"),
        ({"texture": float("nan")}, 0.7, "it has hardly any of the ambience's texture"),
        ({"content": 0.0}, 0.0, ""),
        ({"content": None}, 0.7, "its inputs are too alike to tell how much of the tune is left"),
    ],
)
def test_a_doubt_is_relative_to_the_strength(missed: dict, strength: float, words: str) -> None:
    assert doubt({**GOOD, **missed}, strength) == words
