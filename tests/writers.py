"""Two writers of one store and one output folder that are killed at random, and their judge."""

import hashlib
import multiprocessing
import os
import random
import tempfile
import time
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from pathlib import Path

from tasks.storage.files import list_files, publish, read_bytes
from tasks.storage.store import Record, Store
from tasks.storage.uris import join
from tests.servers import PATIENCE_S

KEYS = tuple(hashlib.sha256(b"%d" % number).hexdigest() for number in range(60))
_STAGE = "soak"
_SIZE = 150_000


def write_for_ever(root_uri: str, seed: int, environment: dict[str, str], ready: Event) -> None:
    """Commit and publish results in a random order; two writers never make the same bytes."""
    os.environ.update(environment)  # the process that forks us may have started before a server
    chance, store = random.Random(f"{seed} {os.getpid()}"), Store(join(root_uri, "store"))
    store.find(_STAGE, KEYS[0])
    ready.set()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "made")
        while True:
            key = chance.choice(KEYS)
            if (record := store.find(_STAGE, key)) is None:
                body = key.encode() + chance.randbytes(_SIZE)
                path.write_bytes(body + hashlib.sha256(body).digest())
                record = store.commit(_STAGE, key, path, "bin", {"writer": os.getpid()})
            with store.open_local(record) as local:
                publish(local, join(root_uri, "out", f"{key}.bin"))


@dataclass
class Judge:
    """What readers see after each round."""

    root_uri: str
    seen: dict[str, Record] = field(default_factory=dict)
    n_rounds: int = 0
    n_lost: int = 0
    n_wrong: int = 0
    n_changed: int = 0

    def look(self) -> None:
        """Read every record, artefact and output."""
        self.n_rounds += 1
        store = Store(join(self.root_uri, "store"))
        for key in KEYS:
            record = store.find(_STAGE, key)
            if record is None:
                self.n_lost += key in self.seen
                continue
            data = store.fetch_bytes(record)  # raises if the bytes are not the recorded ones
            self.n_wrong += not _is_whole(data, key)
            self.n_changed += self.seen.get(key, record).sha256 != record.sha256
            self.seen[key] = record
        for entry in list_files(join(self.root_uri, "out")):
            key = entry.uri.rpartition("/")[2].removesuffix(".bin")
            self.n_wrong += not _is_whole(read_bytes(entry.uri), key)


def _is_whole(data: bytes, key: str) -> bool:
    body, digest = data[:-32], data[-32:]
    return body.startswith(key.encode()) and hashlib.sha256(body).digest() == digest


def kill_two_writers(
    root_uri: str, *, rounds: int, longest_s: float, give_up: float = float("inf")
) -> Judge:
    """Start two writers and kill both at a random moment, again and again."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.writers", "s3fs"])
    judge, chance = Judge(root_uri), random.Random(1)
    for number in range(rounds):
        ready = [context.Event() for _ in range(2)]
        writers = [
            context.Process(
                target=write_for_ever,
                args=(root_uri, 2 * number + each, dict(os.environ), ready[each]),
                daemon=True,
            )
            for each in range(2)
        ]
        for writer in writers:
            writer.start()
        for event in ready:
            assert event.wait(PATIENCE_S)
        for writer in writers:
            time.sleep(chance.uniform(0.02, longest_s))
            writer.kill()
        for writer in writers:
            writer.join()
        judge.look()
        if time.monotonic() > give_up:
            break
    return judge
