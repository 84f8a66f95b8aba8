"""libsndfile decodes WAV, AIFF, AU, FLAC, W64 and CAF: exactly, and strict about damage."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import BinaryIO

import soundfile as sf

from nst_core.arrays import Waveform
from nst_core.decoding.ffmpeg import read_rest
from nst_core.decoding.file_types import WAY_OUT
from nst_core.decoding.source import Source, Stream
from nst_core.errors import AudioError

_BLOCK = 1 << 18
_READABLE = ("WAV", "WAVEX", "RF64", "AIFF", "AU", "FLAC", "W64", "CAF")
_FLAC_READ_AHEAD = 1 << 16
"""Bytes that libFLAC may have read beyond the last frame."""

UNKNOWN_FRAMES = 1 << 62
"""A header with this frame count or more states no length."""


def open_sndfile(source: Source, path: str, stack: ExitStack) -> Stream:
    """Open the decoder.

    Raises
    ------
    AudioError
        ``unsupported_format``, ``not_audio``, ``channels``.
    """
    fh = source.open()
    try:
        sound = stack.enter_context(sf.SoundFile(fh))
    except (sf.SoundFileError, RuntimeError, TypeError, ValueError) as error:
        detail = str(getattr(error, "error_string", error)).rstrip(".")
        code = "channels" if "channels" in detail else "not_audio"
        reason = f"is not a readable audio file ({detail}, first bytes {source.read_at(0, 12)!r})"
        raise AudioError(code, path, f"{reason}; {WAY_OUT}") from None
    if sound.format not in _READABLE:
        reason = f"is {sound.format}, which is not supported"
        raise AudioError("unsupported_format", path, f"{reason}; {WAY_OUT}")
    n_declared = sound.frames if 0 <= sound.frames < UNKNOWN_FRAMES else None
    blocks = _blocks(sound, fh, source, path)
    return Stream(sound.samplerate, sound.channels, n_declared, blocks)


def _blocks(sound: sf.SoundFile, fh: BinaryIO, source: Source, path: str) -> Iterator[Waveform]:
    # Count the frames here: some codecs cannot report their position.
    at = 0
    while True:
        try:
            block = sound.read(_BLOCK, dtype="float32", always_2d=True)
        except sf.SoundFileError as error:
            code = "truncated" if fh.tell() >= source.n_bytes else "corrupt"
            detail = f"after {at / sound.samplerate:.2f} s ({_reason(error)})"
            raise AudioError(code, path, f"decoding failed {detail}; {WAY_OUT}") from None
        if not len(block):
            break
        yield block
        at += len(block)
    if sound.format == "FLAC" and _may_go_on(fh, source):
        yield from read_rest(source, path, at, sound.samplerate, sound.channels)


def _may_go_on(fh: BinaryIO, source: Source) -> bool:
    """Return whether frames may follow the number that a FLAC header states."""
    end = fh.tell()
    unseen = source.read_at(max(0, end - _FLAC_READ_AHEAD), _FLAC_READ_AHEAD)
    return end < _start_of_tags(source) or b"fLaC" in unseen[4:]


def _start_of_tags(source: Source) -> int:
    """Return where the ID3v1 and APE tags after the sound begin; without tags, the end."""
    end = source.n_bytes
    if end > 128 and source.read_at(end - 128, 3) == b"TAG":
        end -= 128
    foot = source.read_at(end - 32, 32) if end > 32 else b""
    if foot.startswith(b"APETAGEX"):
        has_head = foot[23] & 0x80
        end -= int.from_bytes(foot[12:16], "little") + (32 if has_head else 0)
    return end


def _reason(error: sf.SoundFileError) -> str:
    return str(getattr(error, "error_string", error)).rstrip(".")
