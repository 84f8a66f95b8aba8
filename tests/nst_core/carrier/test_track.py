import numpy as np
import pytest

from nst_core.carrier.track import carry, reach
from nst_core.synth.sounds import ambience, music_piece
from nst_core.transfer.looping import loop_to_length
from tests.carriers import HALF_RATE, weights
from tests.sounds import rms

SR = 22_050
CONFIG = HALF_RATE


@pytest.fixture(scope="module")
def track():
    """Music of 13 s that begins 30 dB down and contains a second of digital silence."""
    music = music_piece("rock", 13.0, seed=0)
    music[: 4 * SR] *= 0.03
    music[6 * SR : 7 * SR] = 0
    return music * np.float32(0.1 / rms(music)), loop_to_length(
        ambience("rain", 5.0, seed=0), len(music), SR
    )


@pytest.mark.parametrize("weight", [0.5, 1.0])
def test_a_track_in_stretches_equals_the_track_carried_whole(track, weight):
    (whole,), (parts,) = (
        carry(*track, SR, CONFIG, weights=weights(weight), longest=n)
        for n in (13 * SR, 3 * SR + 1000)
    )
    assert np.abs(parts - whole).max() < 1e-4 * rms(whole)


def test_two_shares_at_once_equal_each_share_alone(track):
    n = 4 * SR
    both = carry(*track, SR, CONFIG, weights=weights(1.0, 0.5), longest=n)
    for y, weight in zip(both, (1.0, 0.5), strict=True):
        (alone,) = carry(*track, SR, CONFIG, weights=weights(weight), longest=n)
        np.testing.assert_array_equal(y, alone)


def test_a_stretch_that_does_not_know_its_track_has_levels_of_its_own(track):
    music, texture = track
    (whole,), (alone,) = (
        carry(music[:n], texture[:n], SR, CONFIG, weights=weights(1.0), longest=n)
        for n in (len(music), 3 * SR)
    )
    inner = slice(0, 3 * SR - reach(CONFIG))
    assert np.abs(alone[inner] - whole[inner]).max() > 0.01 * rms(whole[inner])
