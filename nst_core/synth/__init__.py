"""Synthesised music and ambiences, for the demo and the tests."""
