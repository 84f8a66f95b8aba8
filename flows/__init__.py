"""The order of the stages, and the command that starts them."""
