"""Spectra: the STFT, band powers, the mel-spectrogram and the way back to sound."""
