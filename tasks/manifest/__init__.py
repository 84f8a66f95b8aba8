"""The manifest: read and checked once, with a list of its problems."""
