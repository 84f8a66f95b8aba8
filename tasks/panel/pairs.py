"""Pairs of a listening test: from the rows of a manifest, or synthesised."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nst_core.arrays import FloatArray
from nst_core.audio.reading import read_long_audio
from nst_core.config import AudioLimits, MelConfig, TransferConfig, preset
from nst_core.errors import AudioError
from nst_core.synth import listening_pairs
from nst_core.transfer.analysis import Analysis, analyse
from nst_core.transfer.blending import blend
from tasks.manifest.row import ManifestRow
from tasks.running.workspace import Workspace
from tasks.storage.files import fetch_input

SECTION_S = 10.0
"""Longest section that listeners hear."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Sounds of a pair, in mono, and how it is rendered.

    Attributes
    ----------
    y_music : shape (n_samples,), float32
        At most `SECTION_S` long.
    y_ambience : shape (any,), float32
    """

    y_music: FloatArray
    y_ambience: FloatArray
    config: TransferConfig


@dataclass(frozen=True)
class Source:
    """Where a pair comes from; nothing is read before `load`.

    Attributes
    ----------
    ambience, music
        Names for the key.
    """

    id: str
    ambience: str
    music: str
    load: Callable[[MelConfig, Workspace], Pair]


def sources_of_rows(rows: Iterable[ManifestRow], default_preset: str) -> list[Source]:
    """Return the pairs of the enabled rows of a manifest."""
    return [
        Source(row.id, str(row.ambience), row.music, partial(_pair_of_row, row, default_preset))
        for row in rows
        if row.enabled
    ]


def ready_made_sources(default_preset: str) -> list[Source]:
    """Return twelve pairs of synthesised sounds."""
    return [
        Source(f"{each.ambience}-{each.genre}", each.ambience, each.genre,
               partial(_synthesised, each, default_preset))
        for each in listening_pairs.PAIRS
    ]  # fmt: skip


def _synthesised(
    pair: listening_pairs.ListeningPair, preset_name: str, mel: MelConfig, workspace: Workspace
) -> Pair:
    del mel, workspace
    music, ambience = pair.make(SECTION_S)
    return Pair(y_music=music, y_ambience=ambience, config=preset(preset_name))


def _pair_of_row(row: ManifestRow, preset_name: str, mel: MelConfig, workspace: Workspace) -> Pair:
    with workspace.scratch_folder() as scratch:
        music = _music(row, mel, scratch)
        parts = [_ambience(place, mel, scratch) for place in row.ambience.places]
        ambience = blend(parts, row.ambience.weights, mel)
        return Pair(
            y_music=music.y[:],
            y_ambience=ambience.y[:],
            config=preset(row.preset or preset_name, **row.transfer_overrides),
        )


def _music(row: ManifestRow, mel: MelConfig, scratch: Path) -> Analysis:
    is_short = row.duration_s is not None and row.duration_s <= SECTION_S
    section = {"duration_s": row.duration_s} if is_short else {"at_most_s": SECTION_S}
    return _analysed(row.music, mel, scratch, start_s=row.start_s, **section)


def _ambience(place: str, mel: MelConfig, scratch: Path) -> Analysis:
    return _analysed(place, mel, scratch, at_most_s=AudioLimits.max_ambience_s)


def _analysed(
    place: str,
    mel: MelConfig,
    scratch: Path,
    *,
    start_s: float = 0.0,
    duration_s: float | None = None,
    at_most_s: float | None = None,
) -> Analysis:
    with fetch_input(place, scratch) as path:
        try:
            audio = read_long_audio(
                path, sr=mel.sr, mono=True, start_s=start_s, duration_s=duration_s,
                at_most_s=at_most_s, scratch=scratch,
            )  # fmt: skip
        except AudioError as error:
            # A remote file is read from a temporary copy, whose name means nothing to the user.
            raise AudioError(error.code, place, error.reason) from error
        return analyse(audio.y, mel, name=f'"{place}"')
