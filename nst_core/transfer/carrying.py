"""Transfer of a pair without a network: carry, then refine. No TensorFlow is needed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nst_core.arrays import FloatArray
from nst_core.config import DEFAULT_STRENGTH, Strength, StrengthCurve, TransferConfig
from nst_core.config.rates import work_rate
from nst_core.config.weights import Weights
from nst_core.refine.gains import refine_long
from nst_core.runtime.threads import thread_budget
from nst_core.streaming.arrays import Sliceable, derive
from nst_core.transfer.analysis import Recording
from nst_core.transfer.looping import Loop
from nst_core.transfer.rendering import carried
from nst_core.transfer.stylisation import Stylisation


def carry_and_refine(
    music: Recording,
    ambience: Recording,
    config: TransferConfig,
    *,
    strength: Strength = DEFAULT_STRENGTH,
    n_threads: int = 1,
    scratch: Path | None = None,
) -> Stylisation:
    """Return the stylisation of a configuration that uses no network.

    Parameters
    ----------
    music, ambience
        Of any length, level and rate.
    config
        Carrier and refinement.
    strength
        Strength of the later rendering: its carrier comes with the result.
    n_threads
        Threads for transforms; does not change any sample.
    scratch
        Folder for arrays of a long piece; if None, everything stays in memory.

    Raises
    ------
    SignalError
        As `nst_core.transfer.end_to_end.transfer_arrays`.
    """
    is_refined = config.refine.n_steps > 0
    wanted: list[Strength] = [1.0] if is_refined else []
    wanted += [strength] if strength != 0 else []
    strengths = list(dict.fromkeys(wanted))
    if not strengths:
        return Stylisation.without_network({})
    with thread_budget(n_threads):
        pair = Pair.of(music, ambience, scratch)
        carriers = dict(
            zip(strengths, pair.carriers(config, strengths, scratch=scratch), strict=True)
        )
        band_gains = None
        if is_refined:
            found = refine_long(
                carriers[1.0], pair.music, pair.clip, pair.sr, config.refine, scratch=scratch
            )
            band_gains = derive(_halved, found)
    return Stylisation.without_network(
        {strength: carriers[strength]} if strength else {}, band_gains
    )


def _halved(gains: FloatArray) -> npt.NDArray[np.float16]:
    return gains.astype(np.float16)


@dataclass(frozen=True)
class Pair:
    """Mono mixes of a pair's inputs at the work rate and `LEVEL`.

    Attributes
    ----------
    music : shape (n_samples,), float32
    clip : shape (any,), float32
        The ambience.
    sr
        Hz.
    """

    music: Sliceable
    clip: FloatArray
    sr: int

    @classmethod
    def of(cls, music: Recording, ambience: Recording, scratch: Path | None) -> "Pair":
        """Convert two recordings to the rate at which the music is worked on."""
        sr = work_rate(music.sr)
        clip = ambience.mono_at(sr, scratch=scratch)[:]
        return cls(music.mono_at(sr, scratch=scratch), clip, sr)

    def carriers(
        self, config: TransferConfig, strengths: Sequence[Strength], *, scratch: Path | None = None
    ) -> list[Sliceable]:
        """Return the carrier at each strength, at `LEVEL`."""
        texture = Loop.of(self.clip, len(self.music), self.sr)
        weights = [Weights(StrengthCurve.of(each), self.sr) for each in strengths]
        return carried(self.music, texture, self.sr, config, weights, scratch=scratch)
