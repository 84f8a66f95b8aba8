"""Signals that do not fit into memory: on disk, in blocks, in windows, resampled."""
