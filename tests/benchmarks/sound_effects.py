"""An optional judge: how near a result is to the ambience for a network that knows sound effects.

aiSFX (Ma & Lerch, "Representation Learning for the Automatic Indexing of Sound Effects Libraries",
ISMIR 2022) learnt the categories of libraries of sound effects: weather, water, fire, crowds,
machines. Its wheel contains the weights (CC BY 4.0). Its code needs PyTorch; the ten layers of its
embedding are built here for TensorFlow instead: `tests/benchmarks/README.md` shows how to install
it.
"""

import codecs
import importlib.util
import pickle
import zipfile
from collections import OrderedDict
from functools import lru_cache
from pathlib import Path

import librosa
import numpy as np

from nst_core.audio.loudness import set_rms
from nst_core.spectral.stft import power_spectrogram
from nst_core.streaming.resampling import resample

PACKAGES = ("aisfx",)
SR = 44_100
_N_FFT, _HOP, _N_MELS = 2048, 1024, 96
_N_FRAMES = 100
_LARGEST = 9.457798957824707
"""The value of the loudest mel of its training set, which becomes 1."""
_LEAST_DISTANCE = 0.05


def missing() -> list[str]:
    """Return the judge's packages that are not installed."""
    return [name for name in PACKAGES if importlib.util.find_spec(name) is None]


def likeness(
    y: np.ndarray, music: np.ndarray, ambience: np.ndarray, reference: np.ndarray, sr: int
) -> float:
    """Return how far the embedding has moved from the music's (0) to the ambience's (1).

    Parameters
    ----------
    y, music, ambience, reference : shape (any,), float32
        Result, music, the part of the ambience that was used, and a part that was not. Only the
        latter is what the result is compared with; the former tells how near the ambience itself
        comes. Levels do not matter.
    sr
        Hz; the network hears up to 22 kHz.

    Returns
    -------
    The share of the cosine similarity between the music (0) and the ambience itself (1); NaN if
    the network hardly tells these two apart (less than .05).
    """
    goal = embedding(reference, sr)
    result, start, end = (float(embedding(x, sr) @ goal) for x in (y, music, ambience))
    return (result - start) / (end - start) if end - start > _LEAST_DISTANCE else float("nan")


def embedding(y: np.ndarray, sr: int) -> np.ndarray:
    """Return the mean embedding of blocks of 2.3 s, each a second apart: shape (512,), length 1."""
    return _embedding(np.asarray(y, np.float32).tobytes(), sr)


@lru_cache(maxsize=256)  # every method is compared with the same inputs
def _embedding(samples: bytes, sr: int) -> np.ndarray:
    y = np.frombuffer(samples, np.float32)
    power = power_spectrogram(set_rms(resample(y, sr, SR)), _N_FFT, _HOP)
    # Essentia's bands of unit sum, and its scale.
    mel = np.log10(1 + 1e4 * (power @ _bank().T)) / _LARGEST
    mel = np.resize(mel, (max(len(mel), _N_FRAMES), _N_MELS)).astype(np.float32)
    starts = range(0, len(mel) - _N_FRAMES + 1, _N_FRAMES // 2)
    blocks = np.stack([mel[start : start + _N_FRAMES] for start in starts])
    mean = _network()(blocks).mean(axis=0)
    return mean / np.linalg.norm(mean)


@lru_cache(maxsize=1)
def _bank() -> np.ndarray:
    bank = librosa.filters.mel(sr=SR, n_fft=_N_FFT, n_mels=_N_MELS, htk=True, norm=None)
    return bank / np.maximum(bank.sum(axis=1, keepdims=True), 1e-9)


@lru_cache(maxsize=1)
def _network():
    """Return a function from mels, shape (n, 100, 96), to embeddings, shape (n, 512)."""
    import tensorflow as tf  # after the threads are set

    weights = _weights()
    blocks = []
    for block in range(1, 5):
        for layer in (1, 2):
            name = f"embedding_net.conv_block{block}"
            kernel = weights[f"{name}.conv{layer}.weight"].transpose(2, 3, 1, 0)
            scale, shift, mean, variance = (
                weights[f"{name}.bn{layer}.{part}"]
                for part in ("weight", "bias", "running_mean", "running_var")
            )
            gain = scale / np.sqrt(variance + 1e-5)
            blocks.append((kernel * gain, shift - mean * gain))

    @tf.function(reduce_retracing=True)
    def embed(x):
        for i, (kernel, bias) in enumerate(blocks):
            x = tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "SAME") + bias)
            if i % 2 and i < len(blocks) - 1:
                x = tf.nn.max_pool2d(x, 2, 2, "VALID")
        return tf.reduce_max(tf.reduce_mean(x, axis=2), axis=1)

    return lambda x: embed(tf.constant(x[..., None])).numpy()


def _weights() -> dict[str, np.ndarray]:
    """Read the arrays of PyTorch's file, a zip of a pickle and of raw numbers."""
    folder = Path(importlib.util.find_spec("aisfx").submodule_search_locations[0])
    with zipfile.ZipFile(folder / "models" / "checkpoint.pth") as archive:
        root = next(name for name in archive.namelist() if name.endswith("/data.pkl"))[:-8]
        with archive.open(f"{root}data.pkl") as stream:
            reader = _Reader(stream)
            reader.numbers = lambda key: archive.read(f"{root}data/{key}")
            found = reader.load()
    return found[0] if isinstance(found, tuple) else found


class _Reader(pickle.Unpickler):
    """Reads arrays of numbers and nothing else: no code of the file runs."""

    _TYPES = {"FloatStorage": np.float32, "LongStorage": np.int64}  # noqa: RUF012 a constant

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _array
        if module == "torch" and name in self._TYPES:
            return self._TYPES[name]
        if (module, name) == ("numpy.core.multiarray", "scalar"):
            return lambda dtype, raw: np.frombuffer(raw, dtype)[0]
        if (module, name) == ("numpy", "dtype"):
            return np.dtype
        if (module, name) == ("_codecs", "encode"):
            return codecs.encode
        raise pickle.UnpicklingError(f"{module}.{name} is not an array")

    def persistent_load(self, place):
        _, dtype, key, *_ = place
        return np.frombuffer(self.numbers(key), dtype)


def _array(numbers, offset, shape, stride, *_):
    step = numbers.itemsize
    strides = [step * each for each in stride]
    return np.lib.stride_tricks.as_strided(numbers[offset:], shape, strides).copy()
