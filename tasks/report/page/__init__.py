"""Listening page of a catalogue: one HTML file that needs nothing else but the sounds."""
