"""Reach servers on this machine directly, even if the environment names a proxy."""

import os

_HERE = ("127.0.0.1", "localhost", "::1")


def reach_local_servers_directly() -> None:
    """Add this machine's own names to NO_PROXY if a proxy is set; keep the user's entries.

    A proxy usually cannot reach the ports of this machine. S3 and servers elsewhere are still
    reached through the proxy.
    """
    names = [name for name, value in os.environ.items() if value]
    if not any(name.lower().endswith("_proxy") and name.lower() != "no_proxy" for name in names):
        return
    # Programs prefer the lower-case variable, so it must also contain the other one's entries.
    lower = os.environ.get("no_proxy", os.environ.get("NO_PROXY", ""))
    upper = os.environ.get("NO_PROXY", lower)
    os.environ["no_proxy"], os.environ["NO_PROXY"] = _with_ours(lower), _with_ours(upper)


def _with_ours(listed: str) -> str:
    """Return a list of hosts with ours added; ``*`` means all hosts and counts only alone."""
    hosts = [host.strip() for host in listed.split(",") if host.strip()]
    if hosts == ["*"]:
        return listed
    return ",".join([*hosts, *(host for host in _HERE if host not in hosts)])
