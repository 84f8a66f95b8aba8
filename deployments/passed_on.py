"""Environment variables that a worker passes to flow runs: those they need, and no others.

Prefect starts the process of a run with the worker's whole environment, which may contain tokens
and passwords of the shell.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase

MORE = "AMNST_PASS_ENV"
"""Variable with names of further variables, comma-separated; ``SLURM_*`` matches a prefix."""

_NEEDED = (
    # Programs, users and places.
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "HOSTNAME", "TMPDIR", "TEMP", "TMP", "TZ"),
    *("LANG", "LANGUAGE", "LC_*", "XDG_*", "VIRTUAL_ENV", "CONDA_PREFIX", "PYTHON*"),
    # This package, Prefect and the store.
    *("AMNST_*", "PREFECT_*", "DO_NOT_TRACK", "AWS_*", "FSSPEC_*"),
    # Processors and memory.
    *("CUDA_*", "NVIDIA_*", "TF_*", "XLA_*", "LD_LIBRARY_PATH", "MALLOC_*", "NUMBA_*"),
    *("OMP_*", "OPENBLAS_*", "MKL_*"),
    # Network access.
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    # Containers.
    *("KUBERNETES_*", "DOCKER_HOST"),
)
_SERVERS_OWN = ("PREFECT_SERVER_*", "PREFECT_API_DATABASE_*", "PREFECT_REDIS_*")
"""Variables of the server, which contain the password of its database."""


def passed_on(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of an environment that a worker and its runs may have."""
    more = tuple(filter(None, (name.strip() for name in inherited.get(MORE, "").split(","))))
    return {
        name: value
        for name, value in inherited.items()
        if _is_one_of(name, more)
        or (_is_one_of(name, _NEEDED) and not _is_one_of(name, _SERVERS_OWN))
    }


def _is_one_of(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
