import numpy as np
import pytest

from nst_core.config import MelConfig
from nst_core.metrics.wide_bank import wide_bank
from nst_core.runtime.threads import thread_budget
from nst_core.spectral.bands import band_spectrogram
from nst_core.spectral.erb import erb_bank
from nst_core.spectral.mel import mel_bank
from nst_core.spectral.stft import power_spectrogram
from nst_core.synth.sounds import music_piece

SR = 22_050


@pytest.mark.parametrize(
    ("bank", "hop"),
    [
        (erb_bank(64, 512, SR), 64),
        (erb_bank(40, 1024, SR), 256),
        (wide_bank(512, 32, SR), 64),
        (np.eye(7, 2049, dtype="f4"), 1024),
        (mel_bank(MelConfig()), 256),
    ],
)
@pytest.mark.parametrize("n_samples", [1, 1000, 5 * SR + 77])
def test_a_band_has_the_weighted_power_of_its_bins(bank, hop, n_samples):
    y = music_piece("folk", 6.0, seed=0)[:n_samples]
    n_fft = 2 * (bank.shape[1] - 1)
    wanted = power_spectrogram(y, n_fft, hop).astype("f8") @ bank.T
    found = band_spectrogram(y, n_fft, hop, bank)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-8 * wanted.max())


def test_silence_next_to_a_loud_frame_is_silent_within_rounding():
    y = music_piece("rock", 2.0, seed=0)
    y[SR // 2 : SR] = 0
    found = band_spectrogram(y, 512, 512, erb_bank(64, 512, SR))
    inside = found[SR // 2 // 512 + 2 : SR // 512 - 1]
    assert len(inside) > 15
    assert inside.max() <= 1e-12 * found.max()


def test_threads_change_no_bit():
    y, bank = music_piece("folk", 20.0, seed=0), erb_bank(64, 512, SR)
    alone = band_spectrogram(y, 512, 64, bank)
    with thread_budget(3):
        np.testing.assert_array_equal(band_spectrogram(y, 512, 64, bank), alone)
