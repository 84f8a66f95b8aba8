import numpy as np
import pytest

from nst_core.config import StrengthCurve, check_strength
from nst_core.errors import ConfigError


def test_a_number_is_the_strength_at_all_times():
    curve = StrengthCurve.of(0.4)
    assert curve.constant == 0.4
    assert curve.mean(100.0) == 0.4
    np.testing.assert_allclose(curve.at(np.array([0.0, 7.0])), 0.4)


def test_a_curve_is_straight_between_its_points_and_constant_outside():
    curve = StrengthCurve.of("1:0.2;3:0.8")
    assert curve.constant is None
    np.testing.assert_allclose(curve.at(np.array([0.0, 1, 2, 3, 9])), [0.2, 0.2, 0.5, 0.8, 0.8])
    assert curve.mean(4.0) == pytest.approx(0.5, abs=1e-3)


def test_a_curve_with_one_strength_is_constant():
    assert StrengthCurve.of("0:0.5;9:0.5").constant == 0.5


@pytest.mark.parametrize(
    ("strength", "rule"),
    [
        (1.1, "outside 0..1"),
        (float("nan"), "outside 0..1"),
        (True, "outside 0..1"),
        ("0:0.2;30:1.8", "outside 0..1"),
        ("0.2;0.8", "or a curve such as"),
        ("-1:0.2", "or a curve such as"),
        ("nan:0.2", "or a curve such as"),
        ("0:nan", "or a curve such as"),
        ("inf:0.2", "or a curve such as"),
        ("", "or a curve such as"),
        ("0:0.2;", "or a curve such as"),
        ("3:0.2;3:0.8", "do not rise"),
        (";".join(f"{i}:0" for i in range(1001)), "more than 1000 points"),
    ],
)
def test_a_strength_outside_its_rule_is_refused(strength, rule):
    with pytest.raises(ConfigError, match=rule):
        check_strength(strength)
