import librosa
import numpy as np
import pytest

from nst_core.spectral.stft import (
    frame_count,
    hann,
    istft,
    overlap_add,
    padded_frames,
    power_spectrogram,
    stft,
    stft_blocks,
)
from nst_core.synth.sounds import music_piece

SR = 22_050


def tone(hz, n, phase=0.0):
    return np.sin(2 * np.pi * hz * np.arange(n) / SR + phase).astype("f4")


@pytest.mark.parametrize(("n_fft", "hop"), [(1024, 256), (4096, 512), (512, 64)])
@pytest.mark.parametrize("n", [1, 300, 22_050, 22_051])
def test_it_is_librosas_transform_transposed(n_fft, hop, n):
    y = music_piece("folk", 1.5, seed=0)[:n]
    expected = librosa.stft(
        np.pad(y, n_fft // 2), n_fft=n_fft, hop_length=hop, center=False, window="hann"
    )
    D = stft(y, n_fft, hop)
    assert D.dtype == np.complex64
    assert D.shape == (frame_count(n, hop), n_fft // 2 + 1)
    np.testing.assert_allclose(D, expected.T, atol=2e-6 * n_fft**0.5)


@pytest.mark.parametrize("bin_number", [3, 40, 300])
def test_a_tone_on_a_bin_has_half_the_window_sum_there(bin_number):
    S = np.abs(stft(tone(bin_number * SR / 1024, 22_050, np.pi / 2), 1024, 256))
    inner = S[4:-4]
    assert np.all(inner.argmax(axis=1) == bin_number)
    np.testing.assert_allclose(inner[:, bin_number], hann(1024).sum() / 2, rtol=1e-4)
    # A periodic Hann window leaks into the two neighbours, and nowhere else.
    np.testing.assert_allclose(inner[:, bin_number + 1], inner[:, bin_number] / 2, rtol=1e-4)
    assert inner[:, bin_number + 2].max() < 1e-3


def test_the_energy_of_noise_is_kept_as_parseval_says():
    y = np.random.default_rng(0).standard_normal(65_536).astype("f4")
    power = np.abs(stft(y, 1024, 256)) ** 2
    power[:, 1:-1] *= 2
    energy = power.sum() / 1024 / (hann(1024) ** 2).sum() * 256
    assert energy == pytest.approx(float(y @ y), rel=0.01)


@pytest.mark.parametrize(("n_fft", "hop"), [(1024, 256), (4096, 512), (512, 64)])
@pytest.mark.parametrize("n", [1, 256, 22_050, 22_051, 22_271])
def test_inverting_gives_the_signal_back_from_the_first_sample_to_the_last(n_fft, hop, n):
    y = 0.5 * np.random.default_rng(n).standard_normal(n).astype("f4")
    D = stft(y, n_fft, hop)
    before = D.copy()
    np.testing.assert_allclose(istft(D, hop, n), y, atol=2e-5)
    np.testing.assert_array_equal(D, before)


def test_what_no_frame_covers_is_zero():
    y = istft(stft(tone(440, 2048), 1024, 256), 256, 10_000)
    assert len(y) == 10_000
    assert not y[2048 + 1024 :].any()
    np.testing.assert_allclose(y[:2048], tone(440, 2048), atol=1e-5)


def test_it_is_linear():
    a, b = tone(440, 8000), tone(1234, 8000)
    np.testing.assert_allclose(
        stft(2 * a - 3 * b, 1024, 256), 2 * stft(a, 1024, 256) - 3 * stft(b, 1024, 256), atol=1e-3
    )


@pytest.mark.parametrize(
    ("n", "frames"), [(1, 1), (255, 1), (256, 2), (66_149, 259), (66_150, 259)]
)
def test_there_is_a_frame_on_every_hop_that_the_signal_reaches(n, frames):
    assert frame_count(n, 256) == frames
    assert len(padded_frames(np.zeros(n, "f4"), 1024, 256)) == frames


def test_overlap_add_puts_each_frame_a_hop_after_the_last():
    frames = np.array([[1, 2, 3, 4], [10, 20, 30, 40], [100, 200, 300, 400]], "f4")
    np.testing.assert_array_equal(overlap_add(frames, 2), [1, 2, 13, 24, 130, 240, 300, 400])


def test_the_window_is_periodic_and_the_cached_one_is_read_only():
    window = hann(1024)
    assert window[0] == 0
    assert window[512] == 1
    np.testing.assert_allclose(window[1:512], window[:512:-1], atol=1e-7)
    np.testing.assert_allclose(overlap_add(np.tile(window, (8, 1)), 256)[1024:2048], 2, atol=1e-6)
    with pytest.raises(ValueError, match="read-only"):
        window[0] = 1


def test_blocks_end_to_end_are_the_transform():
    y = music_piece("folk", 40.0, seed=0)
    blocks = list(stft_blocks(y, 4096, 1024))
    assert len(blocks) > 2
    whole = stft(y, 4096, 1024)
    np.testing.assert_array_equal(np.concatenate(blocks), whole)
    np.testing.assert_array_equal(
        power_spectrogram(y, 4096, 1024, bins=slice(5, 90)),
        (whole.real**2 + whole.imag**2)[:, 5:90],
    )
