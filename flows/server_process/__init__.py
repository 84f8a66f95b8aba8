"""Our own Prefect server process: its access check, its folder and its database."""
