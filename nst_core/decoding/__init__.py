"""Decoding of sound files, completely or not at all, in separate processes."""
