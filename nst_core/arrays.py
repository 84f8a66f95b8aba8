"""Array types that all modules use: waveforms, real and complex spectra."""

import numpy as np
import numpy.typing as npt

Waveform = npt.NDArray[np.float32]
"""Waveform with full scale 1, shape (n_samples,) or (n_samples, n_channels)."""

FloatArray = npt.NDArray[np.float32]
ComplexArray = npt.NDArray[np.complex64]
