import itertools

import numpy as np
import pytest

from nst_core.config import DEFAULT_STRENGTH, LEVEL, MelConfig, TransferConfig
from nst_core.errors import ConfigError, SignalError
from nst_core.synth.sounds import ambience, music_piece
from nst_core.transfer.analysis import analyse
from nst_core.transfer.blending import blend
from nst_core.transfer.end_to_end import transfer_arrays
from nst_core.transfer.shares import shares
from tests.sounds import rms, tone

SR = 22_050
MEL = MelConfig()


def analysed(y):
    return analyse(y, MEL, name="ambience")


@pytest.fixture(scope="module")
def textures():
    return [analysed(ambience(kind, 4.0, seed=0)) for kind in ("rain", "wind")]


@pytest.fixture(scope="module")
def transfer(classifier):
    def run(ambiences, weights=None, strength=DEFAULT_STRENGTH):
        return transfer_arrays(
            music_piece("folk", 2.0, seed=0),
            ambiences,
            sr=SR,
            ambience_weights=weights,
            config=TransferConfig(n_iterations=2),
            strength=strength,
            classifier=classifier,
        )

    return run


def test_weights_become_shares_of_one():
    assert shares([2, 1, 1], 3) == (0.5, 0.25, 0.25)
    assert shares(None, 4) == (0.25,) * 4
    assert shares([1e308, 1e308], 2) == (0.5, 0.5)
    assert shares([7.5], 1) == (1.0,)


@pytest.mark.parametrize("weights", [(1, 0), (1, -1), (1, np.nan), (np.inf, 1), (1,), (1, 1, 1)])
def test_weights_that_do_not_fit_are_refused(transfer, weights):
    sounds = [ambience(kind, 1.0, seed=0) for kind in ("rain", "wind")]
    with pytest.raises(ConfigError, match="ambience_weights"):
        transfer(sounds, weights)


def test_the_powers_of_textures_add_by_their_shares(textures):
    rain, wind = (each.M.mean(axis=1) for each in textures)
    for share in (0.2, 0.5, 0.9):
        mixed = blend(textures, [share, 1 - share], MEL).M.mean(axis=1)
        expected = share * rain + (1 - share) * wind
        heard = expected > 1e-3 * expected.max()
        deviation_db = np.abs(10 * np.log10(mixed[heard] / expected[heard]))
        assert np.median(deviation_db) < 0.5, share


def test_the_levels_of_the_files_do_not_matter(textures):
    rain, wind = textures
    loud = analysed(30 * rain.y)
    np.testing.assert_allclose(
        blend([loud, wind], [1, 1], MEL).y, blend(textures, [1, 1], MEL).y, atol=1e-5
    )


def test_a_short_ambience_sounds_as_long_as_the_longest():
    mixed = blend([analysed(tone(440, 1.0)), analysed(tone(3000, 4.0))], [1, 1], MEL)
    assert len(mixed.y) == 4 * SR
    low = mixed.M[:100].sum(axis=0)[4:-4]
    assert low.min() > 0.3 * np.median(low)
    assert rms(mixed.recording.mono_at(SR)) == pytest.approx(LEVEL, rel=1e-4)


def test_one_ambience_in_a_list_is_the_ambience_bit_for_bit(transfer):
    rain = ambience("rain", 3.0, seed=0)
    y = transfer(rain)
    for weights in (None, [1.0], [0.3]):
        assert transfer([rain], weights).tobytes() == y.tobytes()


def test_only_proportions_count_and_no_weights_are_equal_ones(transfer):
    sounds = [ambience(kind, 2.0, seed=0) for kind in ("rain", "fire")]
    y = transfer(sounds, (2, 2))
    assert transfer(sounds).tobytes() == y.tobytes()
    assert transfer(tuple(sounds), (0.5, 0.5)).tobytes() == y.tobytes()


def test_the_more_an_ambience_weighs_the_nearer_the_result_comes_to_it(transfer):
    sounds = [ambience("rain", 4.0, seed=0), ambience("wind", 4.0, seed=0)]

    def spectrum(y):
        M = analysed(y).M.mean(axis=1)
        return np.log(M / M.sum() + 1e-6)

    goal = spectrum(transfer(sounds[0], strength=1.0))
    away = [
        np.abs(spectrum(transfer(sounds, (share, 1 - share), strength=1.0)) - goal).mean()
        for share in (0.05, 0.3, 0.7, 0.98)
    ]
    assert all(further > nearer for further, nearer in itertools.pairwise(away)), away


def test_a_bad_ambience_among_several_is_named(transfer):
    rain = ambience("rain", 1.0, seed=0)
    with pytest.raises(SignalError, match=r"^ambience 2 is silent") as caught:
        transfer([rain, np.zeros(SR, "f4")])
    assert caught.value.code == "silent"
    with pytest.raises(SignalError, match="empty list"):
        transfer([])


def test_ambiences_that_cancel_are_refused(transfer):
    rain = ambience("rain", 1.0, seed=0)
    with pytest.raises(SignalError, match="blend of the ambiences is silent"):
        transfer([rain, -rain])


def test_strength_0_is_the_music_whatever_the_ambiences(transfer):
    sounds = [ambience("rain", 1.0, seed=0), ambience("wind", 2.0, seed=0)]
    np.testing.assert_array_equal(transfer(sounds, strength=0.0), music_piece("folk", 2.0, seed=0))
