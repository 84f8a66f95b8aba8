"""Flows, which put the stages in order, and the command that starts them."""
