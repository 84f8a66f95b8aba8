"""Sound files in and out: read, measure, resample, master, write."""
