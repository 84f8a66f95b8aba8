"""Open the inputs of a manifest, each once, and check the section that each row wants."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

from nst_core.audio.headers import Header, check_section, read_header
from nst_core.config import AudioLimits
from nst_core.errors import AudioError
from tasks.manifest.problems import RowProblem
from tasks.manifest.row import ManifestRow
from tasks.storage.uris import is_remote, local_text

_N_AT_ONCE = 2
"""Files that are opened at a time; as many decoders stay ready for the next one."""


@dataclass(frozen=True)
class Inputs:
    """What the headers of a manifest's inputs say.

    Attributes
    ----------
    headers
        Header of each local file that can be opened.
    problems
        Problems of the rows, in their order.
    n_remote
        Number of inputs in buckets, which are not opened.
    """

    headers: dict[str, Header]
    problems: list[RowProblem]
    n_remote: int


def open_inputs(rows: Iterable[ManifestRow]) -> Inputs:
    """Open every local input of the rows once, and check the rows' sections."""
    rows = list(rows)
    uris = dict.fromkeys(uri for row in rows for uri in (*row.ambience.places, row.music))
    here = [uri for uri in uris if not is_remote(uri)]
    with ThreadPoolExecutor(_N_AT_ONCE) as pool:
        found = dict(zip(here, pool.map(_opened, here), strict=True))
    check = _section_checker(found)
    problems = [problem for row in rows for problem in _problems(row, check)]
    headers = {uri: each for uri, each in found.items() if isinstance(each, Header)}
    return Inputs(headers, problems, len(uris) - len(here))


Check = Callable[[str, float, float | None, float | None], AudioError | None]


def _section_checker(found: dict[str, Header | AudioError]) -> Check:
    """Return a check of sections that keeps the lengths that it had to count."""

    @cache
    def check(
        uri: str, start_s: float, duration_s: float | None, at_most_s: float | None
    ) -> AudioError | None:
        header = found.get(uri)
        if header is None or isinstance(header, AudioError):
            return header
        try:
            found[uri] = check_section(
                header, start_s=start_s, duration_s=duration_s, at_most_s=at_most_s
            )
        except AudioError as error:
            return error
        return None

    return check


def _problems(row: ManifestRow, check: Check) -> Iterator[RowProblem]:
    for uri in dict.fromkeys(row.ambience.places):
        if error := check(uri, 0.0, None, AudioLimits.max_ambience_s):
            yield _problem(row, "ambience", uri, error)
    if error := check(row.music, row.start_s, row.duration_s, None):
        yield _problem(row, "music", row.music, error)


def _problem(row: ManifestRow, column: str, uri: str, error: AudioError) -> RowProblem:
    rule = "does not exist" if error.code == "not_found" else error.reason
    return RowProblem(row.line, row.id, column, uri, rule, error.code)


def _opened(uri: str) -> Header | AudioError:
    try:
        return read_header(local_text(uri))
    except AudioError as error:
        return error
