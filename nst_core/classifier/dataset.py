"""Tracks of a genre dataset, cut into segments, as training data.

There are two steps because they are cached separately: tracks are cut once, and segments are
analysed again only if the mel settings change.
"""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nst_core.audio.loudness import set_rms
from nst_core.audio.reading import read_long_audio
from nst_core.classifier.genres import GenreIndex, Track, check_unreadable
from nst_core.classifier.segments import cut_segments
from nst_core.config import LEVEL, MelConfig, SegmentConfig
from nst_core.errors import AudioError, DatasetError
from nst_core.spectral.mel import n_frames, power_mel
from nst_core.streaming.npz import save_arrays

HalfArray = npt.NDArray[np.float16]

_PAUSE_RMS = 1e-4
"""A quieter segment is a pause: at `LEVEL`, its noise would count as music of the genre."""
_CHANGED = ("changed", "not_found")
"""Codes of `AudioError` for a file that has changed since it was hashed."""


@dataclass(frozen=True)
class AudioSegments:
    """Segments of a genre dataset as waveforms.

    Attributes
    ----------
    y : shape (n_segments, segment_samples), float16
        Every segment at `LEVEL`; rounding noise is 66 dB below the sound.
    track_of : shape (n_segments,), int
        Index into `tracks`.
    tracks
        Tracks that the segments were cut from; paths are relative to the genre root.
    skipped
        Files that could not be read, with the reason.
    """

    y: HalfArray
    track_of: npt.NDArray[np.int64]
    tracks: tuple[Track, ...]
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class SegmentSet:
    """Segments of a genre dataset as power mels.

    Attributes
    ----------
    M : shape (n_segments, n_frames, n_mels), float16, >= 0
        TensorFlow's axes, every segment at `LEVEL`. Half precision keeps 5e-4 of a power
        and 6e-8 of silence, 70 dB below the level: inaudible to log1p(1e4 M).
    track_of : shape (n_segments,), int
        Index into `tracks`.
    tracks
        Tracks that the segments were cut from.
    """

    M: HalfArray
    track_of: npt.NDArray[np.int64]
    tracks: tuple[Track, ...]

    @property
    def genres(self) -> tuple[str, ...]:
        """Names in the order of the labels."""
        return tuple(sorted({track.genre for track in self.tracks}))

    def segments_of(self, tracks: Sequence[Track]) -> npt.NDArray[np.int64]:
        """Indices of the segments cut from `tracks`."""
        wanted = {track.path for track in tracks}
        is_wanted = np.array([track.path in wanted for track in self.tracks])
        return np.flatnonzero(is_wanted[self.track_of])

    def labels(self, segments: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Genre numbers of segments."""
        number = {genre: i for i, genre in enumerate(self.genres)}
        of_track = np.array([number[track.genre] for track in self.tracks])
        return of_track[self.track_of[segments]]


def cut_tracks(
    index: GenreIndex,
    sr: int,
    config: SegmentConfig,
    *,
    n_threads: int = 1,
) -> AudioSegments:
    """Read every track and cut it into segments, without silent ones.

    Parameters
    ----------
    index
        From `nst_core.classifier.genres.index_genres`.
    sr
        Sample rate of the segments in Hz.
    n_threads
        Tracks that are read at a time; does not change any sample.

    Raises
    ------
    DatasetError
        ``too_many_unreadable``, see `nst_core.classifier.genres.check_unreadable`; ``no_segments``;
        ``dataset_changed``: a track has changed since it was hashed.
    """
    cut, unreadable = [], []
    with ThreadPoolExecutor(n_threads) as pool:
        results = pool.map(lambda track: _cut_track(track, sr, config), index.tracks)
        for track, result in zip(index.tracks, results, strict=True):
            if isinstance(result, AudioError):
                unreadable.append(result)
            elif len(result):
                cut.append((_relative(track, index.root), result))
    check_unreadable(unreadable, len(index.tracks), index.root)
    if not cut:
        raise DatasetError(
            f"no track under {index.root} gives a segment of {config.duration_s:g} s; use longer "
            "tracks or shorter segments",
            code="no_segments",
        )
    counts = [len(segments) for _, segments in cut]
    return AudioSegments(
        y=np.concatenate([segments for _, segments in cut]),
        track_of=np.repeat(np.arange(len(cut)), counts),
        tracks=tuple(track for track, _ in cut),
        skipped=tuple(str(error) for error in unreadable),
    )


def _relative(track: Track, root: Path) -> Track:
    # A result with the name of a local folder would differ between machines.
    return Track(track.path.relative_to(root), track.genre, track.artist, track.sha256)


def _cut_track(track: Track, sr: int, config: SegmentConfig) -> HalfArray | AudioError:
    try:
        y = read_long_audio(track.path, sr=sr, mono=True, sha256=track.sha256).y[:]
    except AudioError as error:
        if error.code in _CHANGED:  # its segments would be stored under the hash of other content
            raise DatasetError(
                f'track "{track.path}" was changed or removed after the dataset was listed; '
                "start again when the dataset is complete",
                code="dataset_changed",
            ) from None
        return error
    segments = cut_segments(y, sr, config)
    level = np.sqrt(np.mean(np.square(segments, dtype=np.float64), axis=1))
    audible = segments[level > _PAUSE_RMS]
    for segment in audible:
        segment[:] = set_rms(segment, LEVEL)
    half: HalfArray = audible.astype(np.float16)
    return half


def analyse_segments(
    segments: AudioSegments, config: MelConfig, *, n_threads: int = 1
) -> SegmentSet:
    """Return the power mels of all segments."""
    shape = (len(segments.y), n_frames(segments.y.shape[1], config), config.n_mels)
    M = np.empty(shape, np.float16)

    def analyse(row: int) -> None:
        M[row] = power_mel(segments.y[row].astype(np.float32), config).T

    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(analyse, range(len(M))))
    return SegmentSet(M, segments.track_of, segments.tracks)


def save_segments(path: Path, data: AudioSegments | SegmentSet) -> None:
    """Write either kind as an uncompressed ``.npz`` without pickles."""
    values, skipped = (data.y, data.skipped) if isinstance(data, AudioSegments) else (data.M, ())
    table = {"tracks": [_to_row(track) for track in data.tracks], "skipped": skipped}
    save_arrays(
        path,
        values=values,
        track_of=data.track_of,
        table=np.frombuffer(json.dumps(table).encode(), np.uint8),
    )


def load_audio_segments(path: Path) -> AudioSegments:
    """Read `AudioSegments` that `save_segments` wrote."""
    y, track_of, tracks, skipped = _load(path)
    return AudioSegments(y, track_of, tracks, skipped)


def load_segment_set(path: Path) -> SegmentSet:
    """Read a `SegmentSet` that `save_segments` wrote."""
    M, track_of, tracks, _ = _load(path)
    return SegmentSet(M, track_of, tracks)


def _load(
    path: Path,
) -> tuple[HalfArray, npt.NDArray[np.int64], tuple[Track, ...], tuple[str, ...]]:
    with np.load(path, allow_pickle=False) as arrays:
        table = json.loads(arrays["table"].tobytes())
        tracks = tuple(_from_row(row) for row in table["tracks"])
        return arrays["values"], arrays["track_of"], tracks, tuple(table["skipped"])


def _to_row(track: Track) -> dict[str, str | None]:
    return {
        "path": track.path.as_posix(),
        "genre": track.genre,
        "artist": track.artist,
        "sha256": track.sha256,
    }


def _from_row(row: dict[str, Any]) -> Track:
    return Track(Path(row["path"]), row["genre"], row["artist"], row["sha256"])
