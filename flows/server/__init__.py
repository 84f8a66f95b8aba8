"""Start, reach and query a Prefect server."""
