"""Run Prefect's server behind a list of allowed hosts and origins: ``python -m`` this module.

A browser sends requests to 127.0.0.1 for any page that it shows. Such a page can also make its own
host name point to 127.0.0.1 (DNS rebinding), and then has the server's own origin for the browser.
Prefect checks neither header, so both are checked here before a request reaches Prefect. Prefect's
own login, ``PREFECT_SERVER_API_AUTH_STRING``, keeps out other users of the machine.
"""

import json
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import uvicorn
from cyclopts import App, Parameter
from starlette.types import ASGIApp, Receive, Scope, Send

from flows.server_process.stdin import end_when_stdin_closes

_CODE_WRONG_HOST, _CODE_WRONG_ORIGIN = 421, 403
_HTTP_PORT = 80
_DATABASE = "PREFECT_SERVER_DATABASE_CONNECTION_URL"


class Guard:
    """ASGI middleware that refuses requests for other hosts and from pages of other origins.

    Parameters
    ----------
    app
        Application behind it.
    hosts
        Allowed values of the ``Host`` header, such as ``127.0.0.1:4200``. A page's origin must
        also be one of them, over http or https. Clients other than browsers send no ``Origin``.
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self.app = app
        self.hosts = frozenset(host.lower() for host in hosts)
        self.origins = frozenset(f"{scheme}://{host}" for scheme in _SCHEMES for host in self.hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection; see ASGI."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif refusal := self._refusal(scope):
            await _refuse(scope, send, *refusal)
        else:
            await self.app(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        hosts = _values(scope, b"host")
        if len(hosts) != 1 or hosts[0] not in self.hosts:
            named = ", ".join(hosts) or "none"
            return _CODE_WRONG_HOST, f"Host {named!r} is not served here; use {self._served()}"
        for origin in _values(scope, b"origin"):
            if origin not in self.origins:
                return _CODE_WRONG_ORIGIN, f"pages of {origin!r} may not use this server"
        return None

    def _served(self) -> str:
        return " or ".join(sorted(self.hosts))


_SCHEMES = ("http", "https")


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1").lower() for key, value in scope["headers"] if key == name]


async def _refuse(scope: Scope, send: Send, status: int, reason: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": reason[:100]})
        return
    body = json.dumps({"detail": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def own_hosts(port: int) -> tuple[str, ...]:
    """Return the names by which programs on this machine reach the port."""
    names = ("127.0.0.1", "localhost", "[::1]")
    bare = names if port == _HTTP_PORT else ()  # clients omit the default port
    return (*(f"{name}:{port}" for name in names), *bare)


def database_url(home: Path) -> str:
    """Return the URL of a home's database, for a home whose path contains a question mark.

    Prefect does not quote the path in the URL, so the database would be in the folder whose
    name ends before the mark.
    """
    return f"sqlite+aiosqlite:///file:{quote(str(home / 'prefect.db'))}?uri=true"


def run(
    *,
    host: str = "127.0.0.1",
    port: int,
    fd: int | None = None,
    allow_host: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    end_with_stdin: bool = False,
) -> None:
    """Serve Prefect until SIGTERM.

    Parameters
    ----------
    host
        Address to listen on.
    port
        Port to listen on.
    fd
        Descriptor of an inherited socket that is already bound to them, so that no other program
        can take the port.
    allow_host
        Further allowed values of the Host header, such as ``prefect.example.org`` or
        ``server:4200``; this machine's own names for the port are always allowed.
    end_with_stdin
        End when stdin is closed. The process that started this one has the other end, so the
        server ends with it, even if it is killed.
    """
    if (home := os.environ.get("PREFECT_HOME")) and "?" in home:
        os.environ.setdefault(_DATABASE, database_url(Path(home).expanduser()))
    from prefect.server.api.server import create_app  # noqa: PLC0415  # takes seconds
    from prefect.settings import get_current_settings  # noqa: PLC0415  # see above

    api = get_current_settings().server.api
    # As `prefect server start` does; `final` avoids copies of every response model.
    app = Guard(create_app(final=True), [*own_hosts(port), *(allow_host or ())])
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            log_level=get_current_settings().server.logging_level.lower(),
            lifespan="on",
            timeout_keep_alive=api.keepalive_timeout,
            ws_ping_interval=api.websocket_ping_interval,
            ws_ping_timeout=api.websocket_ping_timeout,
            timeout_graceful_shutdown=5,
        )
    )
    if end_with_stdin:
        end_when_stdin_closes(lambda: setattr(server, "should_exit", True))
    server.run(sockets=None if fd is None else [socket.socket(fileno=fd)])


if __name__ == "__main__":
    app = App(name="flows.server_process.guarded")
    app.default(run)
    app()
