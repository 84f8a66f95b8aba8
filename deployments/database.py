"""Facts about a server's database that can be seen from outside."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from prefect.client.orchestration import SyncPrefectClient
from prefect.settings import get_current_settings

_HERE = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True)
class Database:
    """A server's database.

    Attributes
    ----------
    kind
        Description for people.
    single_machine
        Whether it is meant for the workers of one machine only.
    size
        Bytes, if it is a file on this machine.
    """

    kind: str
    single_machine: bool
    size: int | None = None


def database_of(client: SyncPrefectClient) -> Database:
    """Return the database of the server of `client`.

    The API hides the database's address. For a server on this machine our own settings show it;
    for another one, the place of its messages shows whether it is meant for one machine.
    """
    settings = get_current_settings()
    url = settings.server.database.connection_url
    if url and urlsplit(str(client.api_url)).hostname in _HERE:
        scheme, _, path = url.get_secret_value().partition(":///")
        file = Path(path)
        if scheme.startswith("sqlite") and file.is_file():
            return Database("SQLite", single_machine=True, size=_size(file))
        if scheme.startswith("postgresql"):
            return Database("PostgreSQL", single_machine=False)
    broker = client.request("GET", "/admin/settings").json()["server"]["events"]["messaging_broker"]
    if broker.endswith(".memory"):
        return Database("messages in the server's memory, as with SQLite", single_machine=True)
    return Database(f"messages in {broker}", single_machine=False)


def _size(file: Path) -> int:
    parts = [file, *file.parent.glob(f"{file.name}-*")]  # include the write-ahead log
    return sum(part.stat().st_size for part in parts)
