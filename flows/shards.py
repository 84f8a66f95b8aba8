"""Cut rows into shards that are small enough to retry and large enough to be worth a start."""

import hashlib
from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated

from pydantic import Field

from flows.parameters import Parameters
from flows.requests import RenderRequest
from nst_core import ALGORITHM_VERSION, __version__
from nst_core.errors import NSTError
from tasks.manifest.row import ManifestRow

CODE_VERSION = f"{__version__}/{ALGORITHM_VERSION}"
"""Version of amnst, which all workers of a catalogue must share."""


class Shard(Parameters):
    """Reference to rows of a catalogue, so that the flow's parameter stays small."""

    request: RenderRequest
    rows_sha256: Annotated[str, Field(description="sha256 of the file in the store with its rows")]
    model_sha256: str
    number: Annotated[int, Field(ge=1, description="Number of the shard, from 1")] = 1
    n_shards: Annotated[int, Field(ge=1, description="Number of shards of the catalogue")] = 1
    first: Annotated[int, Field(ge=0, description="First row, in the order of the shards")]
    stop: Annotated[int, Field(ge=1, description="Row after the last one")]
    catalog_run_id: Annotated[str, Field(description="Catalogue's run, which gets the results")]
    code_version: Annotated[
        str, Field(description="Version of amnst that the worker must have")
    ] = CODE_VERSION

    @property
    def digest(self) -> str:
        """Hash of the content, so that the same shard of a run is never started twice."""
        content = self.model_dump_json(exclude={"number", "n_shards"})
        return hashlib.sha256(content.encode()).hexdigest()[:32]

    @property
    def name(self) -> str:
        """Name within its catalogue; names sort in the order of the shards."""
        return f"shard-{self.first:06d}"

    @property
    def title(self) -> str:
        """Name shown in the UI, such as ``night 3 of 12 (rows 101-150)``.

        The rows are counted in the order of the shards.
        """
        rows = (
            f"rows {self.first + 1}-{self.stop}"
            if self.stop - self.first > 1
            else (f"row {self.stop}")
        )
        return f"{self.request.title} {self.number} of {self.n_shards} ({rows})"


_SMALLEST, _LARGEST = 25, 50
"""Compromise: starting TensorFlow takes ten seconds, and a lost worker loses its shard."""


class ShardError(NSTError):
    """Error of a shard that this worker must not render, or whose worker was lost."""


def in_shard_order(rows: Iterable[ManifestRow]) -> list[ManifestRow]:
    """Group rows by music, and within that by ambience.

    Groups are in the order of their first row, so the order depends only on the manifest.
    """
    rows = list(rows)
    musics = {music: rank for rank, music in enumerate(dict.fromkeys(r.music for r in rows))}
    ambiences = {
        ambience: rank for rank, ambience in enumerate(dict.fromkeys(r.ambience for r in rows))
    }
    return sorted(rows, key=lambda row: (musics[row.music], ambiences[row.ambience], row.line))


def shard_bounds(n_rows: int, *, size: int | None, max_in_flight: int) -> list[tuple[int, int]]:
    """Return the first row and the row after the last of each shard.

    All shards except the last have the same size.

    Parameters
    ----------
    n_rows
        Rows of the catalogue.
    size
        Rows per shard; None chooses 25 to 50, so that a small catalogue still keeps
        many workers busy.
    max_in_flight
        Shards that may be open at a time.
    """
    chosen = size or min(max(-(-n_rows // (2 * max_in_flight)), _SMALLEST), _LARGEST)
    return list(pairwise([*range(0, n_rows, chosen), n_rows]))
