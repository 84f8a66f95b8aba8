"""Descent on a carrier's own spectrum: its grain moves to the ambience's, its onsets to the music's."""
