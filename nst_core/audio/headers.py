"""Headers of sound files: what a file says of itself, and whether a section can be in it.

A file is opened by the same decoders, with the same checks, as `nst_core.audio.reading` opens it,
but only its beginning is decoded. Damage further on is found only by reading it.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from nst_core.config import AudioLimits
from nst_core.decoding.file_types import open_regular
from nst_core.decoding.isolation import decoded
from nst_core.errors import AudioError

_SURE = 0.5
"""Share of an estimated length within which a section surely is: estimates are often wrong."""
_END = 1 << 62


@dataclass(frozen=True)
class Header:
    """Rate, channels and length of a sound file.

    Attributes
    ----------
    n_frames
        None if it is unknown.
    is_exact
        Whether `n_frames` is declared or was counted; otherwise it is an estimate.
    """

    path: str
    n_bytes: int
    sr: int
    n_channels: int
    n_frames: int | None
    is_exact: bool

    @property
    def duration_s(self) -> float | None:
        """Length in seconds; None if it is unknown."""
        return None if self.n_frames is None else self.n_frames / self.sr


def read_header(path: str | Path, *, limits: AudioLimits | None = None) -> Header:
    """Open a sound file and return what its header says.

    Raises
    ------
    AudioError
        As `nst_core.audio.reading.read_audio`, as far as the beginning of the file shows it.
    """
    return _open(path, limits or AudioLimits(), stop=0)


def check_section(
    header: Header,
    *,
    start_s: float = 0.0,
    duration_s: float | None = None,
    at_most_s: float | None = None,
    limits: AudioLimits | None = None,
) -> Header:
    """Check a section against the length of a file; parameters are those of `read_audio`.

    A file whose header declares no length is decoded if the section ends near its estimated end.

    Returns
    -------
    The header, with the exact length if the file had to be decoded.

    Raises
    ------
    AudioError
        ``bad_range``, ``too_short``, ``too_long``, ``too_big``, and those of `read_header`.
    """
    limits = limits or AudioLimits()
    is_whole = duration_s is None and at_most_s is None
    if is_whole and header.n_bytes > limits.max_bytes:
        size, most = header.n_bytes >> 20, limits.max_bytes >> 20
        reason = f"{size} MiB is over the limit of {most} MiB; read a section of it, or cut it"
        raise AudioError("too_big", header.path, reason)
    end_s = start_s + (limits.min_duration_s if duration_s is None else duration_s)
    if end_s > limits.max_duration_s and duration_s is not None:
        _refuse_length(header, f"a section that ends at {end_s:g} s", limits)
    if not header.is_exact and end_s > _SURE * (header.duration_s or 0.0):
        header = _open(header.path, limits, stop=_END)
    if header.is_exact:
        _check_inside(header, start_s, duration_s, limits)
    if is_whole and header.is_exact and (header.duration_s or 0.0) > limits.max_duration_s:
        _refuse_length(header, f"{header.duration_s:.0f} s", limits)
    return header


def _open(path: str | Path, limits: AudioLimits, *, stop: int) -> Header:
    with (
        open_regular(path, None) as fh,
        decoded(fh, path, limits, estimates=not stop) as sound,
    ):
        # An empty section leaves the decoder ready for the next file.
        for _ in sound.blocks(stop, stop, looks_on=False):
            pass
        n_frames = sound.n_decoded if stop else sound.n_estimated
        is_exact = bool(stop) or sound.n_declared is not None
        n_bytes = os.fstat(fh.fileno()).st_size
    return Header(str(path), n_bytes, sound.sr, sound.n_channels, n_frames, is_exact)


def _check_inside(
    header: Header, start_s: float, duration_s: float | None, limits: AudioLimits
) -> None:
    n_frames, sr, path = header.n_frames or 0, header.sr, header.path
    start = round(start_s * sr)
    stop = start + 1 if duration_s is None else round((start_s + duration_s) * sr)
    if not n_frames:
        raise AudioError("no_samples", path, "has a valid header but no samples")
    if n_frames < stop:
        wish = f"from {start_s:g} s" + ("" if duration_s is None else f" to {stop / sr:g} s")
        reason = f"lasts {n_frames / sr:g} s, but the requested section is {wish}"
        raise AudioError("bad_range", path, f"{reason}; choose one inside the file")
    n_heard = n_frames - start if duration_s is None else stop - start
    if n_heard < limits.min_duration_s * sr:
        rule = f"at least {limits.min_duration_s:g} s is needed; use a longer clip"
        raise AudioError("too_short", path, f"lasts {n_heard / sr:.3f} s, {rule}")


def _refuse_length(header: Header, found: str, limits: AudioLimits) -> None:
    most = f"the limit of {limits.max_duration_s:.0f} s"
    way_out = "cut it, or give start_s and duration_s within the limit"
    raise AudioError("too_long", header.path, f"{found} is over {most}; {way_out}")
