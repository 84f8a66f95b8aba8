import librosa
import numpy as np
import pytest

from nst_core.metrics.wide_bank import wide_bank


@pytest.mark.parametrize("sr", [16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("n_fft", [512, 2048])
@pytest.mark.filterwarnings("ignore:Empty filters")
def test_the_bank_is_librosas_with_a_maximum_of_1(sr, n_fft):
    wanted = librosa.filters.mel(sr=sr, n_fft=n_fft, n_mels=32, fmin=60, fmax=8000)
    wanted /= np.maximum(wanted.max(axis=1, keepdims=True), 1e-9)
    np.testing.assert_allclose(wide_bank(n_fft, 32, sr), wanted, atol=1e-5)
