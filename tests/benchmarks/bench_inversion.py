"""Our inversion against librosa's, clip by clip, in one run, one thread each."""

import time
from pathlib import Path

import librosa
import numpy as np

from nst_core.audio import read_audio
from nst_core.config import InversionConfig, MelConfig
from nst_core.inversion import mel_to_audio
from nst_core.mel import mel_bank, power_mel
from nst_core.stft import stft

CLIPS = (
    "music/guitar", "music/orchestra", "music/percussion", "music/rock", "music/slow_synth",
    "music/strings", "music/techno", "music/vocal_pop", "ambience/rain", "ambience/fireplace",
)  # fmt: skip
CLIP_S = 10.0
MEL = MelConfig()


def run(data: Path) -> dict:
    mel_to_audio(np.ones((384, 300), np.float32), MEL, InversionConfig())  # compiles
    print(f"{'clip':<20}{'time':>7}{'SC dB':>16}{'LSD dB':>14}{'mel dB':>16}   (librosa, ours)")
    rows = []
    for clip in CLIPS:
        y = read_audio(data / f"{clip}.ogg", sr=MEL.sr, mono=True, duration_s=CLIP_S).y
        M = power_mel(y, MEL)
        peer, ours = _timed(_librosa, M, len(y)), _timed(_ours, M, len(y))
        row = {"clip": clip, "ratio": peer[1] / ours[1]}
        for name, measure in MEASURES.items():
            row[name] = (measure(y, M, peer[0]), measure(y, M, ours[0]))
        row["none_worse"] = all(row[name][1] <= row[name][0] for name in MEASURES)
        rows.append(row)
        cells = "".join(f"{row[n][0]:8.2f}{row[n][1]:8.2f}" for n in MEASURES)
        print(f"{clip:<20}{row['ratio']:6.1f}x{cells}", flush=True)
    ratio = float(np.median([row["ratio"] for row in rows]))
    n_better = sum(row["none_worse"] for row in rows)
    print(f"median {ratio:.1f}x faster; no measure worse on {n_better} of {len(rows)} clips")
    return {"median_ratio": ratio, "clips": rows}


def _ours(M, n_samples):
    return mel_to_audio(M, MEL, InversionConfig(), n_samples=n_samples)


def _librosa(M, n_samples):
    return librosa.feature.inverse.mel_to_audio(
        M, sr=MEL.sr, n_fft=MEL.n_fft, hop_length=MEL.hop_length, length=n_samples
    )


def _timed(invert, M, n_samples):
    started = time.perf_counter()
    y = invert(M, n_samples)
    return y, time.perf_counter() - started


def _magnitudes(y):
    return np.abs(stft(y.astype(np.float32), MEL.n_fft, MEL.hop_length))


def spectral_convergence(y, M, y_hat):
    S, S_hat = _magnitudes(y), _magnitudes(y_hat)
    return float(20 * np.log10(np.linalg.norm(S - S_hat) / np.linalg.norm(S)))


def log_spectral_distance(y, M, y_hat):
    S, S_hat = _magnitudes(y), _magnitudes(y_hat)
    floor = 1e-3 * S.max()
    difference = 20 * np.log10((S + floor) / (S_hat + floor))
    return float(np.sqrt(np.mean(difference**2, axis=1)).mean())


def mel_error(y, M, y_hat):
    M_hat = power_mel(y_hat.astype(np.float32), MEL)
    seen = ~mel_bank(MEL).empty
    error = np.sqrt(M_hat[seen]) - np.sqrt(M[seen])
    return float(20 * np.log10(np.linalg.norm(error) / np.linalg.norm(np.sqrt(M[seen]))))


MEASURES = {
    "spectral_convergence_db": spectral_convergence,
    "log_spectral_distance_db": log_spectral_distance,
    "mel_error_db": mel_error,
}
