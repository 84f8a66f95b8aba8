"""Our inversion against librosa's, clip by clip, in one run, one thread each.

The floor is the time of our transforms alone: the same number and length, in the same blocks.
"""

import time
from pathlib import Path

import librosa
import numpy as np
from scipy import fft

from nst_core.audio.reading import read_audio
from nst_core.config import InversionConfig, MelConfig
from nst_core.spectral.frame_pairs import BLOCK_FRAMES
from nst_core.spectral.mel import mel_bank, power_mel
from nst_core.spectral.mel_inversion import mel_to_audio
from nst_core.spectral.stft import stft

CLIPS = (
    "music/guitar", "music/orchestra", "music/percussion", "music/rock", "music/slow_synth",
    "music/strings", "music/techno", "music/vocal_pop", "ambience/rain", "ambience/fireplace",
)  # fmt: skip
CLIP_S = 10.0
REPEATS = 5
MEL = MelConfig()


def run(data: Path) -> dict:
    mel_to_audio(np.ones((384, 300), np.float32), MEL, InversionConfig())  # compiles
    heads = f"{'SC dB':>16}{'LSD dB':>14}{'mel dB':>16}{'2048 dB':>17}{'FFT share':>11}"
    print(f"{'clip':<20}{'time':>7}{heads}   (librosa, ours)")
    rows = []
    for clip in CLIPS:
        y = read_audio(data / f"{clip}.ogg", sr=MEL.sr, mono=True, duration_s=CLIP_S).y
        M = power_mel(y, MEL)
        peer, ours = _timed(_librosa, M, len(y)), _timed(_ours, M, len(y))
        _, floor_s = _timed(_transforms, M, len(y))
        row = {"clip": clip, "ratio": peer[1] / ours[1], "librosa_s": peer[1], "ours_s": ours[1]}
        row["fft_share"] = floor_s / ours[1]
        for name, measure in MEASURES.items():
            row[name] = (measure(y, M, peer[0]), measure(y, M, ours[0]))
        row["none_worse"] = all(row[name][1] <= row[name][0] for name in MEASURES)
        rows.append(row)
        cells = "".join(f"{row[n][0]:8.2f}{row[n][1]:8.2f}" for n in MEASURES)
        print(f"{clip:<20}{row['ratio']:6.1f}x{cells}{row['fft_share']:10.0%}", flush=True)
    share = float(np.median([row["fft_share"] for row in rows]))
    ratio = float(np.median([row["ratio"] for row in rows]))
    n_better = sum(row["none_worse"] for row in rows)
    print(f"median {ratio:.1f}x faster; no measure worse on {n_better} of {len(rows)} clips")
    print(f"our transforms alone take {share:.0%} of our time, the floor of this method")
    return {"median_ratio": ratio, "median_fft_share": share, "clips": rows}


def _ours(M, n_samples):
    return mel_to_audio(M, MEL, InversionConfig(), n_samples=n_samples)


def _librosa(M, n_samples):
    return librosa.feature.inverse.mel_to_audio(
        M, sr=MEL.sr, n_fft=MEL.n_fft, hop_length=MEL.hop_length, length=n_samples
    )


def _transforms(M, n_samples):
    """Do only the transforms of our inversion: two frames as one complex frame, forth and back."""
    del n_samples
    pairs = np.zeros((BLOCK_FRAMES // 2, MEL.n_fft), np.complex64)
    for step in range(InversionConfig().n_iterations + 1):
        for first in range(0, M.shape[1], BLOCK_FRAMES):
            block = pairs[: -(-min(BLOCK_FRAMES, M.shape[1] - first) // 2)]
            if step:
                fft.fft(block, axis=1, overwrite_x=True)
            fft.ifft(block, axis=1, overwrite_x=True)


def _timed(invert, M, n_samples):
    """Return the result and the median seconds; of a single call if one takes over a second."""
    seconds = []
    while len(seconds) < REPEATS and sum(seconds) < 1:
        started = time.perf_counter()
        y = invert(M, n_samples)
        seconds.append(time.perf_counter() - started)
    return y, float(np.median(seconds))


def _magnitudes(y, n_fft=MEL.n_fft):
    return np.abs(stft(y.astype(np.float32), n_fft, n_fft // 4))


def spectral_convergence(y, M, y_hat, n_fft=MEL.n_fft):
    S, S_hat = _magnitudes(y, n_fft), _magnitudes(y_hat, n_fft)
    return float(20 * np.log10(np.linalg.norm(S - S_hat) / np.linalg.norm(S)))


def log_spectral_distance(y, M, y_hat):
    S, S_hat = _magnitudes(y), _magnitudes(y_hat)
    floor = 1e-3 * S.max()
    difference = 20 * np.log10((S + floor) / (S_hat + floor))
    return float(np.sqrt(np.mean(difference**2, axis=1)).mean())


def mel_error(y, M, y_hat):
    M_hat = power_mel(y_hat.astype(np.float32), MEL)
    seen = mel_bank(MEL).any(axis=1)
    error = np.sqrt(M_hat[seen]) - np.sqrt(M[seen])
    return float(20 * np.log10(np.linalg.norm(error) / np.linalg.norm(np.sqrt(M[seen]))))


def other_window_convergence(y, M, y_hat):
    """Return the convergence under a window that neither inversion uses: wrong phases show."""
    return spectral_convergence(y, M, y_hat, 2 * MEL.n_fft)


MEASURES = {
    "spectral_convergence_db": spectral_convergence,
    "log_spectral_distance_db": log_spectral_distance,
    "mel_error_db": mel_error,
    "other_window_convergence_db": other_window_convergence,
}
