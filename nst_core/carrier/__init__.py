"""Closed-form transfer: the ambience carries the music's spectrum."""
