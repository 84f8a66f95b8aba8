"""Statistics of a listening test, against published and computed examples."""

import numpy as np
import pytest

from nst_core.metrics.ratings import holm, mean_of, signed_rank_p

DARWIN = (6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75)
"""Heights of Darwin's plants: the example of the signed-rank test in SciPy's manual."""


def test_the_interval_of_a_mean_covers_it_as_often_as_it_says():
    rng = np.random.default_rng(4)
    found = [mean_of(rng.normal(60, 15, 8)) for _ in range(4000)]
    covered = np.mean([each.low < 60 < each.high for each in found])
    assert covered == pytest.approx(0.95, abs=0.012)


def test_a_single_listener_has_a_mean_but_no_interval():
    assert mean_of([71.0]) == (71.0, None, None)


def test_the_signed_rank_test_finds_the_published_value():
    assert signed_rank_p(DARWIN) == pytest.approx(0.0412598, abs=1e-6)


def test_equal_ratings_are_no_evidence():
    assert signed_rank_p([0, 0, 0, 0]) == 1
    assert signed_rank_p([0.1 + 0.2 - 0.3] * 6) == 1, "rounding is no difference"


def test_differences_of_zero_are_left_out():
    assert signed_rank_p([*DARWIN, 0, 0]) == signed_rank_p(DARWIN)


def test_six_listeners_of_one_mind_are_the_fewest_that_convince():
    assert signed_rank_p([9, 7, 5, 3, 2, 1]) == pytest.approx(2 / 2**6)
    assert signed_rank_p([9, 7, 5, 3, 2]) > 0.05


def test_holm_corrects_step_by_step_and_keeps_the_order():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_rarely_finds_a_difference_where_there_is_none():
    rng = np.random.default_rng(5)
    errors = np.mean([min(holm(list(rng.uniform(size=6)))) < 0.05 for _ in range(4000)])
    assert errors < 0.06
