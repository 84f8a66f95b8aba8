"""Descent on a carrier: grain to the ambience's, onsets and envelope to the music's."""
