"""How a stage runs: its workspace, its cache and its retries."""
