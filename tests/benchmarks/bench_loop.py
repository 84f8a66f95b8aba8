"""The neural loop: eager, graph and XLA; its share of the machine; threads and processes."""

import dataclasses
import hashlib
import os
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import numpy as np

from nst_core.audio.reading import read_audio
from nst_core.config import preset
from nst_core.metrics.scores import evaluate
from nst_core.runtime.tensorflow_setup import setup_tensorflow
from nst_core.spectral.mel import compress, power_mel
from nst_core.transfer.analysis import analyse
from nst_core.transfer.end_to_end import transfer_arrays
from nst_core.transfer.looping import loop_to_length
from tests.benchmarks.machine import best, peak_gflops
from tests.benchmarks.pairs import SR, load_pair

N_THREADS = 2
SEGMENT_FRAMES = 259
DURATION_S = 30.0
ITERATIONS = 20
PAIRS = (("rain", "guitar"), ("fireplace", "vocal_pop"), ("waves", "strings"))
"""Pairs whose figures are compared at half precision."""


def run(data: Path) -> dict:
    setup_tensorflow(N_THREADS)
    peak = peak_gflops()
    print(f"a large matrix product reaches {peak:.0f} GFLOP/s with {N_THREADS} threads")
    found = {"peak_gflops": peak, "modes": _modes(data), "bfloat16": _bfloat16(data)}
    found["threads"] = _threads(data)
    return found


def _arguments(data: Path):
    """Return the arguments of `optimise` for one pair of 30 s, from the mel of the music."""
    from nst_core.classifier.saving import load_classifier

    classifier = load_classifier()
    mel, config = classifier.mel, preset("classifier")
    music, rain = (
        analyse(
            read_audio(data / f"{name}.ogg", sr=mel.sr, mono=True, duration_s=DURATION_S).y,
            mel,
            name=name,
        )
        for name in ("music/guitar", "ambience/rain")
    )
    looped = loop_to_length(rain.recording.mono_at(mel.sr), len(music.y), mel.sr)
    u_music, u_looped = compress(music.M), compress(power_mel(looped, mel))
    return (u_music, u_music, u_looped, compress(rain.M)), classifier, config


def _modes(data: Path) -> dict[str, dict[str, float]]:
    import tensorflow as tf

    from nst_core.transfer.descent import compiled_descent

    (arguments, classifier, config) = _arguments(data)
    graph = compiled_descent(arguments[0].shape[2], classifier.taps, config)
    knobs = config.content_weight, config.style_weight, config.learning_rate
    tensors = [tf.constant(x) for x in (*arguments, *knobs)]
    plain = graph.python_function

    @tf.function(jit_compile=True)
    def xla(*given):
        return plain(*given, ITERATIONS)

    modes = {
        "eager": lambda: plain(*tensors, ITERATIONS),
        "graph": lambda: graph(*tensors, tf.constant(ITERATIONS)),
        "XLA": lambda: xla(*tensors),
    }
    segments = arguments[0].shape[1] / SEGMENT_FRAMES
    gflop = flops_per_iteration(arguments[0].shape[1], classifier) / 1e9
    found = {}
    for name, descend in modes.items():
        seconds = []
        for _ in range(3):
            started = time.perf_counter()
            descend()[0].numpy()
            seconds.append(time.perf_counter() - started)
        each = min(seconds) / (ITERATIONS + 1)
        found[name] = {
            "first_s": seconds[0],
            "ms_per_iteration": 1e3 * each,
            "ms_per_iteration_and_segment": 1e3 * each / segments,
            "gflops": gflop / each,
        }
        print(
            f"{name:<6} first call {seconds[0]:5.2f} s, then {1e3 * each:6.1f} ms an iteration, "
            f"{1e3 * each / segments:5.2f} ms per 3 s, {gflop / each:5.1f} GFLOP/s",
            flush=True,
        )
    return found


def _bfloat16(data: Path) -> dict[str, dict[str, float]]:
    """Compare the loop's convolutions at half precision: time, and the figures of the result."""
    from nst_core.transfer.descent import compiled_descent

    (arguments, full, config) = _arguments(data)
    knobs = config.content_weight, config.style_weight, config.learning_rate, ITERATIONS
    halved = dataclasses.replace(full, taps=_halved(full.taps))
    pairs = [load_pair(data, *names) for names in PAIRS]
    found = {}
    for name, each in {"float32": full, "bfloat16": halved}.items():
        descend = compiled_descent(arguments[0].shape[2], each.taps, config)
        seconds = best(lambda descend=descend: descend(*arguments, *knobs)[0].numpy())
        options = {"sr": SR, "config": preset("classifier"), "strength": 1.0, "classifier": each}
        results = [transfer_arrays(pair.music, pair.ambience, **options) for pair in pairs]
        rows = [
            evaluate(y, pair.music, pair.reference, SR)
            for y, pair in zip(results, pairs, strict=True)
        ]
        found[name] = {"ms_per_iteration": 1e3 * seconds / (ITERATIONS + 1)}
        for figure in ("content", "texture", "carrier_db", "follow", "onset_f1"):
            found[name][figure] = float(np.mean([getattr(row, figure) for row in rows]))
        listed = ", ".join(f"{figure} {value:.3f}" for figure, value in found[name].items())
        print(f"convolutions in {name}: {listed}", flush=True)
    return found


def _halved(taps):
    """Return the same layer with products in bfloat16 and sums in float32."""
    import tensorflow as tf

    from nst_core.classifier.network import group_bands
    from nst_core.classifier.taps import FeatureTaps

    class HalvedTaps(FeatureTaps):
        def features(self, u, names):
            x = (group_bands(u, self.band_group) - self.mean) / self.deviation
            x = tf.reshape(x, (tf.shape(x)[0], tf.shape(x)[1], x.shape[2] * x.shape[3]))
            x, kernel = (tf.cast(each, tf.bfloat16) for each in (x, self.kernels[0]))
            product = tf.cast(tf.nn.convolution(x, kernel, padding="SAME"), tf.float32)
            return {name: tf.nn.relu(product + self.biases[0]) for name in names}

    return HalvedTaps(**{field.name: getattr(taps, field.name) for field in fields(taps)})


def _threads(data: Path) -> dict:
    """Compare one process with two threads and two with one: bytes and speed."""
    found = {}
    for processes, threads in ((1, 2), (2, 1)):
        started = time.perf_counter()
        command = [sys.executable, "-m", __name__, str(data), str(threads)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        running = [
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
            for _ in range(processes)
        ]
        lines = [process.communicate()[0].split() for process in running]
        wall = time.perf_counter() - started
        rate = sum(1 / float(line[1]) for line in lines)
        found[f"{processes} x {threads}"] = {"hash": lines[0][0], "loops_per_s": rate}
        print(
            f"{processes} process(es) x {threads} thread(s): {rate:.2f} warm loops of "
            f"{DURATION_S:.0f} s of music per second, {wall:.0f} s in all",
            flush=True,
        )
    hashes = {each["hash"] for each in found.values()}
    print(f"results identical whatever the threads: {len(hashes) == 1}")
    return found | {"identical": len(hashes) == 1}


def _timed_child(data: Path, n_threads: int) -> None:
    setup_tensorflow(n_threads)
    from nst_core.transfer.descent import optimise

    arguments, classifier, config = _arguments(data)
    seconds = []
    for _ in range(6):
        started = time.perf_counter()
        result = optimise(*arguments, classifier.taps, config)
        seconds.append(time.perf_counter() - started)
    print(hashlib.sha256(result.u.tobytes()).hexdigest(), np.median(seconds[1:]))


if __name__ == "__main__":
    _timed_child(Path(sys.argv[1]), int(sys.argv[2]))


def flops_per_iteration(n_frames: int, classifier) -> float:
    """Count the first convolution and its Gram matrix, forward and backward: 2 flops a product."""
    kernel = classifier.taps.kernels[0]
    channels = kernel.shape[-1]
    return 2 * n_frames * (2 * kernel.size + 3 * channels**2)
