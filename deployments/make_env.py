"""``python -m deployments.make_env``: secrets for compose.yaml, made on the spot.

Prints an environment file. It is meant for ``deployments/.env``, which is never committed.
"""

import secrets
import sys

_NAMES = ("AMNST_AUTH_PASSWORD", "POSTGRES_PASSWORD", "REDIS_PASSWORD", "S3_SECRET_KEY")


def environment_file() -> str:
    """New secrets, one line each; letters and digits only, as they also stand in URLs."""
    lines = [f"{name}={secrets.token_hex(24)}" for name in _NAMES]
    return "\n".join([*lines, f"S3_ACCESS_KEY={secrets.token_hex(10)}", ""])


if __name__ == "__main__":
    sys.stdout.write(environment_file())
