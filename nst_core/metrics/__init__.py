"""Metrics of a result; none is part of a loss."""
