"""What a command ends with, but for 0 (all well) and 1 (some rows failed)."""

USAGE, STORAGE, DATA, INTERRUPTED = 2, 3, 4, 130
