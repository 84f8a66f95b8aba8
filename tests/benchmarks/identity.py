"""A trained ear: does a listener hear the ambience, and still the music's instruments?

Figures of grain miss this: a transfer can flicker like rain and still sound like an organ. The ear
is a small network that is trained here, on the halves of the ambiences that no method hears and on
music of other artists, as they are and mixed at all ratios. It answers with shares: what a mix of
equal powers should get is a half of each. No loss uses it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import librosa
import numpy as np

from nst_core.audio.loudness import set_rms
from nst_core.spectral.stft import power_spectrogram

SR = 22_050
_N_FFT, _HOP, _N_MELS, _N_FRAMES = 2048, 256, 128, 128
_STEPS, _BATCH = 1200, 40
_PURE = 0.3
"""Share of the examples that are an ambience alone; as many are music alone."""
_CHANNELS = ((16, (2, 1)), (32, 2), (48, 2), (64, 2))
_OCTAVES = np.log2(np.linspace(1, 200, _N_MELS)) / np.log2(200) - 0.5


@dataclass(frozen=True)
class Ear:
    """A network, and the ambiences that it tells apart; its last class is music."""

    network: object
    names: tuple[str, ...]

    def heard(self, y: np.ndarray) -> np.ndarray:
        """Return the share of each class, which sum to 1: shape (n_ambiences + 1,)."""
        power = _mel_power(y)
        starts = range(0, len(power) - _N_FRAMES + 1, _N_FRAMES // 2)
        cuts = np.stack([_features(power[start : start + _N_FRAMES]) for start in starts])
        logits = self.network(cuts[..., None], training=False).numpy()
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        return (shares / shares.sum(axis=1, keepdims=True)).mean(axis=0)

    def identity(
        self, y: np.ndarray, ambience: str, reference: np.ndarray, music: np.ndarray
    ) -> tuple[float, float]:
        """Return how far the ambience is heard (1: as in itself) and the music's instruments."""
        result, pure, played = map(self.heard, (y, reference, music))
        i = self.names.index(ambience)
        return float(result[i] / max(pure[i], 0.05)), float(result[-1] / max(played[-1], 0.05))


def trained_ear(
    ambiences: Mapping[str, np.ndarray], music: Sequence[np.ndarray], path: Path
) -> Ear:
    """Train an ear, or load it from `path`, a file of Keras that is then written.

    Parameters
    ----------
    ambiences
        Recordings by name, mono at `SR`, without what the judged sounds were made of.
    music
        Pieces of many genres, mono at `SR`.
    """
    import tensorflow as tf

    names = tuple(sorted(ambiences))
    if path.is_file():
        return Ear(tf.keras.models.load_model(path), names)
    tf.random.set_seed(0)
    network = _network(len(names) + 1)
    schedule = tf.keras.optimizers.schedules.CosineDecay(2e-3, _STEPS)
    loss = tf.keras.losses.CategoricalCrossentropy(from_logits=True)
    network.compile(tf.keras.optimizers.Adam(schedule), loss)
    textures = [_long_enough(_mel_power(ambiences[name])) for name in names]
    pieces = [_long_enough(_mel_power(y)) for y in music]
    rng = np.random.default_rng(0)
    for _ in range(_STEPS):
        network.train_on_batch(*_examples(textures, pieces, rng))
    path.parent.mkdir(parents=True, exist_ok=True)
    network.save(path)
    return Ear(network, names)


def _network(n_classes: int):
    import tensorflow as tf

    layers = [tf.keras.layers.Input((_N_FRAMES, _N_MELS, 1))]
    for channels, strides in _CHANNELS:
        layers += [
            tf.keras.layers.Conv2D(channels, 3, strides=strides, padding="same", use_bias=False),
            tf.keras.layers.BatchNormalization(),
            tf.keras.layers.ReLU(),
        ]
    pooled = [tf.keras.layers.GlobalAveragePooling2D(), tf.keras.layers.Dropout(0.3)]
    return tf.keras.Sequential([*layers, *pooled, tf.keras.layers.Dense(n_classes)])


def _examples(
    textures: list[np.ndarray], pieces: list[np.ndarray], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return a batch of features and the shares of power that are to be heard in them."""
    x = np.empty((_BATCH, _N_FRAMES, _N_MELS, 1), np.float32)
    shares = np.zeros((_BATCH, len(textures) + 1), np.float32)
    for i in range(_BATCH):
        which, kind = rng.integers(len(textures)), rng.random()
        of_ambience = 1.0 if kind < _PURE else 0.0 if kind < 2 * _PURE else rng.random()
        sounds = textures[which], pieces[rng.integers(len(pieces))]
        a, b = (_cut(sound, rng) * np.exp(_OCTAVES * rng.normal(0, 1.5)) for sound in sounds)
        mixed = of_ambience * a + (1 - of_ambience) * b
        x[i, :, :, 0] = _features(mixed * np.exp(rng.normal(0, 0.7)))
        shares[i, which], shares[i, -1] = of_ambience, 1 - of_ambience
    return x, shares


def _cut(power: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    start = rng.integers(len(power) - _N_FRAMES + 1)
    cut = power[start : start + _N_FRAMES]
    return cut * (0.05 / (cut.mean() + 1e-9))


def _long_enough(power: np.ndarray) -> np.ndarray:
    return np.resize(power, (max(len(power), 2 * _N_FRAMES), _N_MELS))


def _mel_power(y: np.ndarray) -> np.ndarray:
    """Return wide mel bands of a sound at a fixed level, shape (n_frames, `_N_MELS`)."""
    return power_spectrogram(set_rms(y), _N_FFT, _HOP) @ _bank().T


def _features(power: np.ndarray) -> np.ndarray:
    return np.log(power + 1e-4)


@lru_cache(maxsize=1)
def _bank() -> np.ndarray:
    return librosa.filters.mel(sr=SR, n_fft=_N_FFT, n_mels=_N_MELS, fmin=50, fmax=10_500)
