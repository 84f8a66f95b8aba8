"""Long music is optimised in windows, whose joins nobody hears."""

import dataclasses

import numpy as np
import pytest

from nst_core.config import MelConfig, TransferConfig
from nst_core.synth.sounds import music_piece
from nst_core.transfer.analysis import analyse
from nst_core.transfer.neural import stylise, windows
from nst_core.transfer.rendering import render
from tests.networks import FEW_STEPS
from tests.sounds import rms
from tests.spectra import flux

SR = 22_050
MEL = MelConfig()
JOIN = slice(round(6 * SR / 256), round(7 * SR / 256))


@pytest.fixture(scope="module")
def in_one_and_in_two_windows(transfer, rain):
    """Held chords and a piece, at full strength; the two windows share the second from 6 to 7."""

    def both(music):
        windows = {"window_s": 10.0, "window_overlap_s": 1.0}
        one = transfer(music, rain, strength=1.0)
        return one, transfer(music, rain, strength=1.0, **windows)

    t = np.arange(13 * SR) / SR
    chord = sum(np.sin(2 * np.pi * hz * t) for hz in (220, 277, 330, 880, 1320, 2640))
    return {
        "chord": both((0.05 * chord).astype("f4")),
        "piece": both(music_piece("chamber", 13.0, seed=0)),
    }


def flux_at_the_join(y):
    """Return the flux at the join divided by the median of all frames."""
    rises = flux(y)[4:-4]
    return flux(y)[JOIN].mean() / np.median(rises)


def test_the_join_of_two_windows_does_not_raise_the_spectrum(in_one_and_in_two_windows):
    assert flux_at_the_join(in_one_and_in_two_windows["chord"][1]) < 1.1
    for one, two in in_one_and_in_two_windows.values():
        assert flux_at_the_join(two) < 1.1 * flux_at_the_join(one)
        frames = flux(two)[JOIN] / np.median(flux(two)) - flux(one)[JOIN] / np.median(flux(one))
        assert frames.max() < 0.3


def test_long_music_in_windows_is_nearly_the_one_window_result(in_one_and_in_two_windows):
    one, several = in_one_and_in_two_windows["piece"]
    for i in range(13):
        a, b = one[i * SR : (i + 1) * SR], several[i * SR : (i + 1) * SR]
        assert np.corrcoef(a, b)[0, 1] > 0.97, i
        assert abs(20 * np.log10(rms(a) / rms(b))) < 1.5, i


def test_without_steps_windows_change_nothing(transfer, rain):
    music = music_piece("rock", 13.0, seed=0)
    one, several = (transfer(music, rain, n_iterations=0, window_s=s) for s in (60.0, 10.0))
    assert np.abs(one - several).max() < 1e-4 * rms(one)


def test_a_mel_is_inverted_whole_despite_windows(classifier, rain):
    analysed = (
        analyse(music_piece("folk", 13.0, seed=0), MEL, name="music"),
        analyse(rain, MEL, name="ambience"),
    )
    config = dataclasses.replace(FEW_STEPS, start="music", n_iterations=1)
    stylisation = stylise(*analysed, classifier, config)
    in_windows = dataclasses.replace(config, window_s=10.0)
    np.testing.assert_array_equal(
        render(*(each.y for each in analysed), stylisation, MEL, config),
        render(*(each.y for each in analysed), stylisation, MEL, in_windows),
    )


def test_short_music_is_one_window_and_long_music_overlapping_ones():
    config = TransferConfig(window_s=10.0, window_overlap_s=1.0)
    assert windows(259, MEL, config) == [slice(0, 259)]
    first, second = windows(14 * SR // 256 + 1, MEL, config)
    assert (first.start, second.stop) == (0, 14 * SR // 256 + 1)
    assert first.stop - second.start == round(SR / 256)
