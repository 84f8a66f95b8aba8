"""What a manifest will take: rows to render, time and disk space."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from nst_core.audio.headers import Header
from nst_core.config import SUBTYPES, OutputConfig, preset
from nst_core.config.rates import CD
from tasks.jobs.from_rows import RenderDefaults, output_config
from tasks.manifest.row import ManifestRow
from tasks.report.rates import Rate

_SAMPLE_BYTES = {
    "PCM_16": 2.0, "PCM_24": 3.0, "PCM_32": 4.0, "FLOAT": 4.0,
    "VORBIS": 0.4, "OPUS": 0.25, "MPEG_LAYER_III": 0.4,
}  # fmt: skip
_FLAC = 0.6
"""Usual share of the PCM's size."""


class _Method(NamedTuple):
    preset: str
    iterations: int


class _Mean(NamedTuple):
    """Number of earlier pairs, and their seconds and bytes per second of music."""

    n_pairs: int
    seconds: float
    store_bytes: float


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What the rows to render will take, as far as it is known.

    Attributes
    ----------
    n_done
        None if no output folder was looked at.
    seconds, store_bytes
        None if no earlier pair tells.
    n_earlier
        Number of earlier pairs that the estimate is from.
    n_unknown
        Rows that are left out of the estimate: the length of their music is unknown, or no earlier
        pair had their preset and steps.
    """

    n_rows: int
    n_done: int | None
    output_bytes: int
    seconds: float | None
    store_bytes: int | None
    n_earlier: int
    n_unknown: int

    def in_words(self) -> str:
        """Return the forecast as a line for people."""
        rows = f"{self.n_rows} row{'s' if self.n_rows != 1 else ''}"
        n_to_do = self.n_rows - (self.n_done or 0)
        done = "" if self.n_done is None else f", {self.n_done} already done"
        counts = f"{rows}: {n_to_do} to render{done}"
        if not n_to_do:
            return counts
        disk = f"about {_size(self.output_bytes)} of output"
        if self.seconds is None or self.store_bytes is None:
            return f"{counts}; {disk}; no estimate of the time yet: {self._why()}"
        pairs = f"{self.n_earlier} earlier pair{'s' if self.n_earlier != 1 else ''}"
        left_out = f", without {self.n_unknown} rows" if self.n_unknown else ""
        time = f"about {_time(self.seconds)} on this machine (from {pairs}{left_out})"
        return f"{counts}; {time}; {disk} and {_size(self.store_bytes)} in the store"

    def _why(self) -> str:
        if self.n_earlier:
            return "no pair with these settings has been rendered on this machine"
        return "no pair has been rendered on this machine"


def forecast(
    rows: Iterable[ManifestRow],
    done: set[int] | None,
    headers: Mapping[str, Header],
    defaults: RenderDefaults,
    rates: Sequence[Rate],
) -> Forecast:
    """Estimate what rows will take, from the lengths of their music and from earlier pairs.

    Parameters
    ----------
    done
        Lines of the rows that are already rendered; None if that is unknown.
    headers
        Known headers of inputs.
    """
    known = _means(rates)
    rows = list(rows)
    seconds = store_bytes = output_bytes = 0.0
    used: set[_Method] = set()
    n_unknown = 0
    for row in rows:
        if done and row.line in done:
            continue
        header = headers.get(row.music)
        music_s, n_channels = _heard(row, header)
        bytes_per_s = _bytes_per_second(output_config(row, defaults), header.sr if header else CD)
        output_bytes += music_s * n_channels * bytes_per_s
        method = _method(row.preset or defaults.preset, row.iterations)
        mean = known.get(method)
        if mean is None or not music_s:
            n_unknown += 1
            continue
        used.add(method)
        seconds += music_s * mean.seconds
        store_bytes += music_s * mean.store_bytes
    n_earlier = sum(known[method].n_pairs for method in used)
    return Forecast(
        n_rows=len(rows),
        n_done=None if done is None else len(done),
        output_bytes=round(output_bytes),
        seconds=seconds if used else None,
        store_bytes=round(store_bytes) if used else None,
        n_earlier=n_earlier or len(rates),
        n_unknown=n_unknown,
    )


def _heard(row: ManifestRow, header: Header | None) -> tuple[float, int]:
    """Return the length of the row's section in seconds, 0 if it is unknown, and the channels."""
    n_channels = min(header.n_channels, 2) if header else 2
    if row.duration_s is not None:
        return row.duration_s, n_channels
    return max(0.0, ((header and header.duration_s) or 0.0) - row.start_s), n_channels


def _bytes_per_second(config: OutputConfig, music_sr: int) -> float:
    subtype = config.subtype or SUBTYPES[config.format][0]
    packed = _FLAC if config.format == "flac" else 1.0
    return config.file_sr(music_sr) * _SAMPLE_BYTES[subtype] * packed


@cache
def _method(name: str, iterations: int | None) -> _Method:
    return _Method(name, preset(name).n_iterations if iterations is None else iterations)


def _means(rates: Sequence[Rate]) -> dict[_Method, _Mean]:
    by_method: dict[_Method, list[Rate]] = {}
    for rate in rates:
        by_method.setdefault(_Method(rate.preset, rate.iterations), []).append(rate)
    return {method: _mean(some) for method, some in by_method.items()}


def _mean(rates: Sequence[Rate]) -> _Mean:
    music_s = sum(rate.music_s for rate in rates)
    seconds = sum(rate.seconds for rate in rates) / music_s
    return _Mean(len(rates), seconds, sum(rate.store_bytes for rate in rates) / music_s)


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _size(n_bytes: float) -> str:
    if n_bytes < 1e6:
        return f"{max(1, round(n_bytes / 1e3))} kB"
    return f"{n_bytes / 1e6:.0f} MB" if n_bytes < 1e9 else f"{n_bytes / 1e9:.1f} GB"
