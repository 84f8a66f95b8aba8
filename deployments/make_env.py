"""``python -m deployments.make_env``: create secrets for compose.yaml.

Prints an environment file. Save it as ``deployments/.env``, which is never committed.
"""

import secrets
import sys

_NAMES = ("AMNST_AUTH_PASSWORD", "POSTGRES_PASSWORD", "REDIS_PASSWORD", "S3_SECRET_KEY")


def environment_file() -> str:
    """Return new secrets, one per line; letters and digits only, because URLs contain them."""
    lines = [f"{name}={secrets.token_hex(24)}" for name in _NAMES]
    return "\n".join([*lines, f"S3_ACCESS_KEY={secrets.token_hex(10)}", ""])


if __name__ == "__main__":
    sys.stdout.write(environment_file())
