import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from nst_core.audio.loudness import set_rms
from nst_core.metrics.texture import texture_moved
from nst_core.synth.sounds import ambience, music_piece
from tests.demodulation import demodulated_texture_moved

SR = 22_050
ROUTES = pytest.mark.parametrize("moved", [texture_moved, demodulated_texture_moved])


@pytest.fixture(scope="module")
def sounds():
    """Music, the half of the rain that is used, and the half for the metrics, at the same level."""
    rain = ambience("rain", 12.0, seed=2)
    return [set_rms(y) for y in (music_piece("folk", 6.0, seed=1), rain[: 6 * SR], rain[6 * SR :])]


@ROUTES
def test_the_music_has_moved_nowhere_and_the_ambience_all_the_way(moved, sounds):
    music, used, kept = sounds
    assert moved(music, music, kept, SR) == pytest.approx(0, abs=1e-6)
    assert moved(kept, music, kept, SR) > 0.75
    assert moved(used, music, kept, SR) > 0.6


@ROUTES
def test_an_equaliser_moves_no_grain_and_rain_in_place_of_it_does(moved, sounds):
    music, used, kept = sounds
    spectrum = np.fft.rfft(music)
    tilted = np.fft.irfft(spectrum * np.linspace(2, 0.2, len(spectrum)), len(music)).astype("f4")
    mixed = set_rms(music + used)
    assert abs(moved(set_rms(tilted), music, kept, SR)) < 0.25
    assert moved(mixed, music, kept, SR) > moved(set_rms(tilted), music, kept, SR) + 0.1


def test_an_attack_as_sharp_as_the_musics_is_no_fault():
    n = 6 * SR
    since_hit = np.arange(n) % (SR // 4) / SR
    envelope = np.exp(-since_hit / 0.08).astype("f4")
    blurred = np.sqrt(gaussian_filter1d(np.square(envelope), 0.02 * SR))
    noise = np.random.default_rng(0).standard_normal(n).astype("f4")
    rain = ambience("rain", 12.0, seed=2)
    hits, sharp, soft, kept = map(
        set_rms, (noise * envelope, rain[:n] * envelope, rain[:n] * blurred, rain[n:])
    )
    assert texture_moved(sharp, hits, kept, SR) > texture_moved(soft, hits, kept, SR) + 0.5
