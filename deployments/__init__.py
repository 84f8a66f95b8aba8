"""What a machine needs to run the flows."""
