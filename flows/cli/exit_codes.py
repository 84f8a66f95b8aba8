"""Exit codes of the commands, except 0 (success) and 1 (some rows failed)."""

USAGE, STORAGE, DATA, INTERRUPTED, PIPE_CLOSED = 2, 3, 4, 130, 141
