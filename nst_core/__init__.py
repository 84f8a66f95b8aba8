"""Ambience-to-music neural style transfer: arrays and local files in, the same out."""

__version__ = "0.1.0"
