"""Jobs: what decides the bytes of a result."""
