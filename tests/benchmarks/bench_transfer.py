"""Warm pairs, stage by stage, each compared with its floor of work, and the original's method."""

import time
from pathlib import Path

import numpy as np

from nst_core.audio.loudness import to_mono
from nst_core.audio.reading import read_audio
from nst_core.config import DEFAULT_STRENGTH, MelConfig, TransferConfig
from nst_core.metrics.scores import evaluate
from nst_core.runtime.tensorflow_setup import setup_tensorflow
from nst_core.runtime.threads import thread_budget
from nst_core.transfer.analysis import analyse
from nst_core.transfer.looping import Loop
from tests.benchmarks import peers
from tests.benchmarks.machine import peak_gb_s, peak_gflops

N_THREADS = 2
CASES = ((30.0, True), (30.0, False), (39.9, False))
"""Seconds of music, and whether it is mixed to mono as the original did."""
SEGMENT_S = 3.0
REPEATS = 5
PASSES = 60
"""Passes over an array of the mel's size per iteration."""


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
    """Return the seconds for one segment."""
    sr = MelConfig().sr
    music, ambience = (
        read_audio(data / f"{name}.ogg", sr=sr, mono=True, duration_s=SEGMENT_S).y
        for name in ("music/guitar", "ambience/rain")
    )
    started = time.perf_counter()
    peers.original_segment(music, ambience, sr)
    return time.perf_counter() - started


def _stages(data: Path, duration_s: float, *, mono: bool) -> dict:
    from nst_core.classifier.saving import load_classifier
    from nst_core.transfer.descent import compiled_descent

    classifier, config = load_classifier(), TransferConfig()
    seconds: dict[str, list[float]] = {}
    for _ in range(REPEATS + 1):
        music, y_hat = _one_pair(data, duration_s, mono, classifier, config, seconds)
    first = {stage: sum(times[: len(times) // (REPEATS + 1)]) for stage, times in seconds.items()}
    warm = {stage: _per_pair(times) for stage, times in seconds.items()}
    warm["loop"] = warm["transfer"] - warm["carrier"]
    for stage, value in warm.items():
        once = f"   (first time {first[stage]:.2f} s)" if stage in first else ""
        print(f"{stage:<14}{value:6.2f} s{once}")
    total = sum(value for stage, value in warm.items() if stage not in {"carrier", "loop"})
    title = f"{len(y_hat) / classifier.mel.sr:.0f} s of {'mono' if mono else 'stereo'}"
    print(f"{'total, warm':<14}{total:6.2f} s for {title}")
    descent = compiled_descent(classifier.mel.n_mels, classifier.taps, config)
    print(f"traces of the loop so far: {descent.experimental_get_tracing_count()}")
    shares = _shares(warm, music, y_hat, classifier, config) if mono else {}
    return {"warm_s": warm, "first_s": first, "total_s": total, "shares": shares}


def _shares(
    warm: dict[str, float], music, y_hat, classifier, config: TransferConfig
) -> dict[str, dict[str, float]]:
    """Print the time of each stage, and the share of the machine's peak that its floor reaches."""
    duration_s = len(y_hat) / classifier.mel.sr
    gflops, gb_s = peak_gflops(), peak_gb_s()
    print(f"peaks: {gflops:.0f} GFLOP/s, {gb_s:.1f} GB/s; per second of music:")
    print(
        f"{'':<14}{'ms':>8}{'MFLOP':>8}{'GFLOP/s':>9}{'of peak':>9}"
        f"{'MB':>7}{'GB/s':>7}{'of peak':>9}"
    )
    found = {}
    for stage, (flops, n_bytes) in floors(music, classifier, config).items():
        seconds = warm[stage] / duration_s
        row = {
            "ms": 1e3 * seconds, "mflop": flops / 1e6, "gflops": flops / seconds / 1e9,
            "mb": n_bytes / 1e6, "gb_s": n_bytes / seconds / 1e9,
        }  # fmt: skip
        found[stage] = row
        print(
            f"{stage:<14}{row['ms']:8.2f}{row['mflop']:8.1f}{row['gflops']:9.2f}"
            f"{row['gflops'] / gflops:9.1%}{row['mb']:7.1f}{row['gb_s']:7.2f}"
            f"{row['gb_s'] / gb_s:9.1%}"
        )
    return found


def floors(music, classifier, config: TransferConfig) -> dict[str, tuple[float, float]]:
    """Return the least operations and bytes per stage for a second of mono music.

    A real transform of n is 2.5 n log2 n operations; it reads n samples and writes n / 2 bins. For
    the loop, its products count, and each array that a pass reads and writes.
    """
    mel, carrier, sr = classifier.mel, config.carrier, classifier.mel.sr

    def transforms(*counts: tuple[int, int, int]) -> np.ndarray:
        return sum(
            count * sr / hop * np.array([2.5 * n * np.log2(n), 8 * n]) for count, n, hop in counts
        )

    long, short = (carrier.n_fft, carrier.hop_length), (carrier.band_n_fft, carrier.band_hop_length)
    own = mel.n_fft, mel.hop_length
    # Of the carrier at full strength and of the one to be rendered, which starts with one more.
    refocused, imposed = 4 * (carrier.n_impositions - 1), 4 * carrier.n_impositions + 2
    blended = 3, carrier.blend_n_fft, carrier.blend_n_fft // 4
    n_steps, duration_s = config.n_iterations + 1, len(music.y) / sr
    loop = np.array([flops_per_iteration(music.M.shape[1], classifier), PASSES * music.M.nbytes])
    judged = [(4096, 1024), (1024, 256), (1024, 256), (2048, 512), (512, 64), (2048, 2048)]
    found = {
        "compute mels": transforms((1, *own)),
        "carrier": transforms((3 + refocused, *long), (2 + imposed + 4, *short), blended),
        "loop": n_steps * loop / duration_s,
        "invert": transforms((2, *own)),
        "judge": transforms(*((2, *size) for size in judged)),
    }
    return {stage: (float(flops), float(n_bytes)) for stage, (flops, n_bytes) in found.items()}


def _one_pair(
    data: Path,
    duration_s: float,
    mono: bool,
    classifier,
    config: TransferConfig,
    seconds: dict[str, list[float]],
):
    from nst_core.transfer.neural import stylise
    from nst_core.transfer.rendering import carried, render, texture_weight

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
    weights = 1.0, texture_weight(DEFAULT_STRENGTH)
    with thread_budget(N_THREADS):
        texture = Loop.of(inputs[1].levelled(), len(inputs[0].y), mel.sr)
        # The transfer does this again.
        timed("carrier", carried, inputs[0].levelled(), texture, mel, config, weights)
    style = timed("transfer", stylise, *inputs, classifier, config, **options)
    music, ambience = (each.y for each in inputs)
    y_hat = timed("invert", render, music, ambience, style, mel, config, **options)
    timed("judge", evaluate, to_mono(y_hat), to_mono(music), ambience, mel.sr, **options)
    return inputs[0], y_hat


def _per_pair(times: list[float]) -> float:
    """Return the median over the warm repeats, per pair."""
    per_pair = np.array(times).reshape(REPEATS + 1, -1).sum(axis=1)
    return float(np.median(per_pair[1:]))


def flops_per_iteration(n_frames: int, classifier) -> float:
    """Count the first convolution and its Gram matrix, forward and backward: 2 flops a product."""
    kernel = classifier.taps.kernels[0]
    channels = kernel.shape[-1]
    return 2 * n_frames * (2 * kernel.size + 3 * channels**2)
