"""Identity: what it must say of sounds whose character is known."""

import numpy as np
import pytest

from nst_core.audio.loudness import set_rms
from nst_core.config import MelConfig, preset
from nst_core.metrics import controls
from nst_core.metrics.identity import identity
from nst_core.synth.sounds import ambience, music_piece
from nst_core.transfer.end_to_end import transfer_arrays

SR = MelConfig().sr


@pytest.fixture(scope="module")
def sounds():
    """Music, the ambience that is used, and another part of it; at one level."""
    rain = ambience("rain", 12.0, seed=0)
    parts = music_piece("chamber", 6.0, seed=0), rain[: 6 * SR], rain[6 * SR :]
    return [set_rms(y) for y in parts]


def place(y, sounds):
    music, _, reference = sounds
    return identity(set_rms(y[: len(music)]), music, reference, SR)


def test_the_music_is_0_and_another_part_of_the_ambience_is_1(sounds):
    music, used, _ = sounds
    assert place(music, sounds) == pytest.approx(0, abs=1e-6)
    assert place(used, sounds) == pytest.approx(1, abs=0.15)


def test_equalised_music_is_still_the_music(sounds):
    music, used, _ = sounds
    assert abs(place(controls.eq(music, used, SR), sounds)) < 0.25


def test_more_of_the_ambience_in_a_mix_is_more_identity(sounds):
    music, used, _ = sounds
    found = [place(music + gain * used, sounds) for gain in (0.1, 0.3, 1.0, 3.0)]
    assert np.all(np.diff(found) > 0)
    assert 0 < found[0] < found[-1] < 1.1


def test_an_ambience_tuned_to_the_partials_sounds_like_an_instrument_and_an_excited_one_does_not(
    sounds,
):
    music, used, _ = sounds
    tuned, excited = (
        place(
            transfer_arrays(
                music, used, sr=SR, config=preset("closed", excitation=e), strength=1.0
            ),
            sounds,
        )
        for e in (0.0, 0.7)
    )
    assert excited > tuned + 0.15


def test_inputs_that_are_alike_or_too_short_have_no_identity(sounds):
    music, used, reference = sounds
    assert identity(music, used, reference, SR) is None
    assert identity(music, music[: SR // 2], reference, SR) is None
