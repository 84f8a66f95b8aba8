"""The `amnst` command."""
