"""Exit codes of the commands, except 0 (success), 1 (some rows failed) and those of signals."""

USAGE, STORAGE, DATA, PIPE_CLOSED = 2, 3, 4, 141
