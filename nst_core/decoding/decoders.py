"""Choice of the decoder for a file, by its content and never by its name."""

import dataclasses
from collections.abc import Iterator
from contextlib import ExitStack

from nst_core.arrays import Waveform
from nst_core.config import AudioLimits
from nst_core.decoding.containers import Declared, read_declared
from nst_core.decoding.ffmpeg import open_ffmpeg
from nst_core.decoding.file_types import check_is_sound, check_shape, start_of
from nst_core.decoding.sndfile import open_sndfile
from nst_core.decoding.source import Source, Stream
from nst_core.errors import AudioError

_SNDFILE = (
    b"RIFF",
    b"RIFX",
    b"RF64",
    b"BW64",
    b"FORM",
    b".snd",
    b"dns.",
    b"fLaC",
    b"riff",
    b"caff",
)
_MPEG_TAGS = (0x50, 0x55)
"""MPEG sound in WAV: libsndfile trusts the length in the header."""
_EXACT_TAGS = (1, 3, 0xFFFE)
"""PCM, floating point and their extensible form: if libsndfile refuses them, they are damaged."""


def open_decoder(source: Source, path: str, limits: AudioLimits, stack: ExitStack) -> Stream:
    """Open the decoder that reads the complete file.

    Raises
    ------
    AudioError
        If the file cannot be read, is damaged, or exceeds the limits.
    """
    head = start_of(source.open())
    check_is_sound(head, path)
    stream = _open(source, path, head, stack)
    check_shape(stream.sr, stream.n_channels, path, limits)
    return stream


def _open(source: Source, path: str, head: bytes, stack: ExitStack) -> Stream:
    if not head.startswith(_SNDFILE):
        return open_ffmpeg(source, path)
    declared = read_declared(source.open(), path)
    if _is_for_ffmpeg(head, declared):
        return _exactly(open_ffmpeg(source, path), _n_frames(declared), path)
    try:
        stream = open_sndfile(source, path, stack)
    except AudioError as refusal:
        if declared.wav and declared.wav.tag in _EXACT_TAGS:
            raise
        return _open_other(source, path, refusal, declared)
    if stream.n_declared is None and head.startswith(b"fLaC"):
        return open_ffmpeg(source, path)
    return stream


def _is_for_ffmpeg(head: bytes, declared: Declared) -> bool:
    wav = declared.wav
    if wav is None:
        return False
    is_other = wav.is_odd_pcm or wav.tag in _MPEG_TAGS
    return is_other or declared.is_left_open or head.startswith(b"BW64")


def _n_frames(declared: Declared) -> int | None:
    """Return the number of PCM frames in the file, computed from its bytes."""
    wav = declared.wav
    if wav is None or wav.tag not in _EXACT_TAGS or not wav.frame_bytes:
        return None
    n_bytes = declared.n_held if declared.is_left_open else declared.n_bytes
    return None if n_bytes is None else n_bytes // wav.frame_bytes


def _exactly(stream: Stream, n_frames: int | None, path: str) -> Stream:
    """Refuse any other number of frames: FFmpeg confuses some sample widths."""
    if n_frames is None:
        return stream
    blocks = stream.blocks

    def checked() -> Iterator[Waveform]:
        n_decoded = 0
        for block in blocks:
            n_decoded += len(block)
            yield block
        if n_decoded != n_frames:
            found = f"it holds {n_frames} frames, but decoding gives {n_decoded}"
            raise AudioError("unsupported_format", path, f"{found}; convert it to 16 bits first")

    return dataclasses.replace(stream, blocks=checked())


def _open_other(source: Source, path: str, refusal: AudioError, declared: Declared) -> Stream:
    """Open a codec that libsndfile does not know, in a container that it knows."""
    try:
        return open_ffmpeg(source, path, declared.heard)
    except AudioError as error:
        raise (refusal if error.code in ("not_audio", "no_samples") else error) from None
