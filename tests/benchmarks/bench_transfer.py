"""Warm pairs, stage by stage, beside the floor of their operations and the original's way."""

import time
from pathlib import Path

import numpy as np

from nst_core.analysis import analyse
from nst_core.audio import read_audio, to_mono
from nst_core.config import MelConfig, TransferConfig
from nst_core.metrics import evaluate
from nst_core.runtime import setup_tensorflow
from tests.benchmarks import peers

N_THREADS = 2
CASES = ((30.0, True), (30.0, False), (39.9, False))
"""Seconds of music, and whether it is mixed to mono as the original did."""
SEGMENT_S = 3.0
REPEATS = 5


def run(data: Path) -> dict:
    setup_tensorflow(N_THREADS)
    found = {
        f"{duration_s:.0f} s, {'mono' if mono else 'stereo'}": _stages(data, duration_s, mono=mono)
        for duration_s, mono in CASES
    }
    original = _original(data) * CASES[0][0] / SEGMENT_S
    ratio = original / next(iter(found.values()))["total_s"]
    print(
        f"the original's way, eager, {CASES[0][0]:.0f} s in segments of {SEGMENT_S:.0f} s: "
        f"{original:.0f} s (one segment timed); ours is {ratio:.0f} times as fast"
    )
    return found | {"original_s": original, "ratio": ratio}


def _original(data: Path) -> float:
    """Seconds for one segment."""
    sr = MelConfig().sr
    music, ambience = (
        read_audio(data / f"{name}.ogg", sr=sr, mono=True, duration_s=SEGMENT_S).y
        for name in ("music/guitar", "ambience/rain")
    )
    started = time.perf_counter()
    peers.original_segment(music, ambience, sr)
    return time.perf_counter() - started


def _stages(data: Path, duration_s: float, *, mono: bool) -> dict:
    from nst_core.model import load_classifier

    classifier, config = load_classifier(), TransferConfig()
    seconds: dict[str, list[float]] = {}
    for _ in range(REPEATS + 1):
        music, y_hat = _one_pair(data, duration_s, mono, classifier, config, seconds)
    first = {stage: sum(times[: len(times) // (REPEATS + 1)]) for stage, times in seconds.items()}
    warm = {stage: _per_pair(times) for stage, times in seconds.items()}
    for stage, value in warm.items():
        print(f"{stage:<14}{value:6.2f} s   (first time {first[stage]:.2f} s)")
    total = sum(warm.values())
    title = f"{len(y_hat) / classifier.mel.sr:.0f} s of {'mono' if mono else 'stereo'}"
    print(f"{'total, warm':<14}{total:6.2f} s for {title}")
    floor = flops_per_iteration(music.M.shape[1], classifier) / 1e9
    print(f"one iteration needs {floor:.2f} GFLOP in convolutions and Gram matrices")
    return {"warm_s": warm, "first_s": first, "total_s": total, "gflop_per_iteration": floor}


def _one_pair(
    data: Path,
    duration_s: float,
    mono: bool,
    classifier,
    config: TransferConfig,
    seconds: dict[str, list[float]],
):
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
        section = {"mono": mono, "duration_s": duration_s} if "music" in name else {"mono": True}
        audio = timed("read", read_audio, data / f"{name}.ogg", sr=mel.sr, **section)
        inputs.append(timed("compute mels", analyse, audio.y, mel, name=name))
    options = {"n_threads": N_THREADS}
    style = timed("transfer", stylise, *inputs, classifier, config, **options)
    y_hat = timed("invert", render, *inputs, style, mel, config, **options)
    timed("judge", evaluate, to_mono(y_hat), to_mono(inputs[0].y), inputs[1].y, mel.sr)
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
