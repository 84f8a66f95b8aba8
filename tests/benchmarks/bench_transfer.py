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
from nst_core.streaming.resampling import resample
from nst_core.transfer.analysis import Analysis, analyse
from nst_core.transfer.carrying import Pair, carry_and_refine
from nst_core.transfer.rendering import render
from tests.benchmarks import peers
from tests.benchmarks.machine import peak_gb_s, peak_gflops

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
    config = TransferConfig()
    seconds: dict[str, list[float]] = {}
    for _ in range(REPEATS + 1):
        music, y_hat = _one_pair(data, duration_s, mono, config, seconds)
    first = {stage: sum(times[: len(times) // (REPEATS + 1)]) for stage, times in seconds.items()}
    warm = {stage: _per_pair(times) for stage, times in seconds.items()}
    warm["refine"] = warm["transfer"] - warm["carrier"]
    for stage, value in warm.items():
        once = f"   (first time {first[stage]:.2f} s)" if stage in first else ""
        print(f"{stage:<14}{value:6.2f} s{once}")
    total = sum(value for stage, value in warm.items() if stage not in {"carrier", "refine"})
    title = f"{len(y_hat) / music.sr:.0f} s of {'mono' if mono else 'stereo'}"
    print(f"{'total, warm':<14}{total:6.2f} s for {title}")
    shares = _shares(warm, music, config) if mono else {}
    return {"warm_s": warm, "first_s": first, "total_s": total, "shares": shares}


def _shares(
    warm: dict[str, float], music: Analysis, config: TransferConfig
) -> dict[str, dict[str, float]]:
    """Print the time of each stage, and the share of the machine's peak that its floor reaches."""
    duration_s = len(music.y) / music.sr
    gflops, gb_s = peak_gflops(), peak_gb_s()
    print(f"peaks: {gflops:.0f} GFLOP/s, {gb_s:.1f} GB/s; per second of music:")
    print(
        f"{'':<14}{'ms':>8}{'MFLOP':>8}{'GFLOP/s':>9}{'of peak':>9}"
        f"{'MB':>7}{'GB/s':>7}{'of peak':>9}"
    )
    found = {}
    for stage, (flops, n_bytes) in floors(music.sr, config).items():
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


def floors(sr: int, config: TransferConfig) -> dict[str, tuple[float, float]]:
    """Return the least operations and bytes per stage for a second of mono music.

    A real transform of n is 2.5 n log2 n operations; it reads n samples and writes n / 2 bins. Only
    transforms are counted.
    """
    mel, carrier, refine = MelConfig(), config.carrier, config.refine

    def transforms(rate: int, *counts: tuple[int, int, int]) -> tuple[float, float]:
        flops, n_bytes = sum(
            count * rate / hop * np.array([2.5 * n * np.log2(n), 8 * n]) for count, n, hop in counts
        )
        return float(flops), float(n_bytes)

    long, short = (carrier.n_fft, carrier.hop_length), (carrier.band_n_fft, carrier.band_hop_length)
    # Of the carrier at full strength and of the one to be rendered, which starts with one more.
    refocused, imposed = 4 * (carrier.n_impositions - 1), 4 * carrier.n_impositions + 2
    blended = 3, carrier.blend_n_fft, carrier.blend_n_fft // 4
    refined = refine.n_fft, refine.hop_length
    judged = [(4096, 1024), (1024, 256), (1024, 256), (2048, 512), (512, 64), (2048, 2048)]
    return {
        "compute mels": transforms(mel.sr, (1, mel.n_fft, mel.hop_length)),
        "carrier": transforms(sr, (3 + refocused, *long), (2 + imposed + 4, *short), blended),
        "refine": transforms(sr, (1 + 4 * refine.n_steps, *refined)),
        "invert": transforms(sr, (2, *refined)),
        "judge": transforms(mel.sr, *((2, *size) for size in judged)),
    }


def _one_pair(
    data: Path,
    duration_s: float,
    mono: bool,
    config: TransferConfig,
    seconds: dict[str, list[float]],
):
    mel = MelConfig()

    def timed(stage, action, *arguments, **options):
        started = time.perf_counter()
        result = action(*arguments, **options)
        seconds.setdefault(stage, []).append(time.perf_counter() - started)
        return result

    inputs = []
    for name in ("music/guitar", "ambience/rain"):
        section = {"mono": mono, "duration_s": duration_s} if "music" in name else {}
        audio = timed("read", read_audio, data / f"{name}.ogg", **section)
        inputs.append(timed("compute mels", analyse, audio.y, mel, name=name, sr=audio.sr))
    music, ambience = inputs
    options = {"n_threads": N_THREADS}
    with thread_budget(N_THREADS):
        pair = Pair.of(music.recording, ambience.recording, None)
        timed(
            "carrier", pair.carriers, config, [1.0, DEFAULT_STRENGTH]
        )  # the transfer does it again
    style = timed(
        "transfer", carry_and_refine, music.recording, ambience.recording, config, **options
    )
    rates = {"music_sr": music.sr, "ambience_sr": ambience.sr}
    y_hat = timed("invert", render, music.y, ambience.y, style, mel, config, **rates, **options)
    heard = resample(to_mono(ambience.y), ambience.sr, music.sr)
    timed("judge", evaluate, to_mono(y_hat), to_mono(music.y), heard, music.sr, **options)
    return music, y_hat


def _per_pair(times: list[float]) -> float:
    """Return the median over the warm repeats, per pair."""
    per_pair = np.array(times).reshape(REPEATS + 1, -1).sum(axis=1)
    return float(np.median(per_pair[1:]))
