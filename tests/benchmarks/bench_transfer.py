"""One warm pair of 40 s, stage by stage, beside the floor of its operations."""

import time
from pathlib import Path

import numpy as np

from nst_core.analysis import analyse
from nst_core.audio import read_audio
from nst_core.config import TransferConfig
from nst_core.metrics import evaluate
from nst_core.runtime import setup_tensorflow

N_THREADS = 2
REPEATS = 5


def run(data: Path) -> dict:
    setup_tensorflow(N_THREADS)
    from nst_core.model import load_classifier

    classifier, config = load_classifier(), TransferConfig()
    seconds: dict[str, list[float]] = {}
    for _ in range(REPEATS + 1):
        music, y_hat = _one_pair(data, classifier, config, seconds)
    first = {stage: sum(times[: len(times) // (REPEATS + 1)]) for stage, times in seconds.items()}
    warm = {stage: _per_pair(times) for stage, times in seconds.items()}
    for stage, value in warm.items():
        print(f"{stage:<14}{value:6.2f} s   (first time {first[stage]:.2f} s)")
    total = sum(warm.values())
    print(f"{'total, warm':<14}{total:6.2f} s for {len(y_hat) / classifier.mel.sr:.0f} s of music")
    floor = flops_per_iteration(music.M.shape[1], classifier) / 1e9
    print(f"one iteration needs {floor:.2f} GFLOP in convolutions and Gram matrices")
    return {"warm_s": warm, "first_s": first, "total_s": total, "gflop_per_iteration": floor}


def _one_pair(data: Path, classifier, config: TransferConfig, seconds: dict[str, list[float]]):
    from nst_core.rendering import render
    from nst_core.transfer import stylise

    mel = classifier.mel

    def timed(stage, action, *arguments, **options):
        started = time.perf_counter()
        result = action(*arguments, **options)
        seconds.setdefault(stage, []).append(time.perf_counter() - started)
        return result

    inputs = []
    for name in ("music/guitar", "ambience/rain"):
        audio = timed("read", read_audio, data / f"{name}.ogg", sr=mel.sr, mono=True)
        inputs.append(timed("compute mels", analyse, audio.y, mel, name=name))
    options = {"n_threads": N_THREADS}
    style = timed("transfer", stylise, *inputs, classifier, config, **options)
    y_hat = timed("invert", render, *inputs, style, mel, config, **options)
    timed("judge", evaluate, y_hat, inputs[0].y, inputs[1].y, mel.sr)
    return inputs[0], y_hat


def _per_pair(times: list[float]) -> float:
    """Median over the warm repeats of what one pair takes."""
    per_pair = np.array(times).reshape(REPEATS + 1, -1).sum(axis=1)
    return float(np.median(per_pair[1:]))


def flops_per_iteration(n_frames: int, classifier) -> float:
    """Forward and backward of the first convolution and its Gram matrix: 2 flops a product."""
    kernel = classifier.taps.kernels[0]
    channels = kernel.shape[-1]
    return 2 * n_frames * (2 * kernel.size + 3 * channels**2)
