"""Plan the audition of a pair: the same section at several strengths and with every preset."""

import io
from collections.abc import Iterator
from typing import NamedTuple

from nst_core.audio.reading import read_long_audio
from nst_core.config import DEFAULT_PRESET, PRESETS, AudioFormat, OutputConfig
from tasks.manifest.cells import Ambiences
from tasks.manifest.planning import check_names, default_id, write_manifest
from tasks.manifest.row import ManifestRow
from tasks.running.workspace import Workspace
from tasks.single import fetched_sound
from tasks.storage.files import write_bytes
from tasks.storage.uris import absolute, join

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Strengths of the default preset; every other preset is rendered at the last."""
SECTION_S = 30.0
"""Longest section, unless a length is given."""


class Audition(NamedTuple):
    """Output folder, manifest in it, and folders of the two inputs."""

    output: str
    manifest: str
    input_roots: tuple[str, ...]


def plan_audition(
    ambience: str,
    music: str,
    workspace: Workspace,
    *,
    output: str | None = None,
    start_s: float = 0.0,
    duration_s: float | None = None,
    format_: AudioFormat = OutputConfig.format,
) -> Audition:
    """Write the manifest of an audition into its output folder.

    Parameters
    ----------
    ambience, music
        Local paths or ``s3://`` URIs.
    output
        Folder; None: ``audition/<ambience>__<music>`` in the current folder.
    start_s, duration_s
        Section of the music in seconds. Without a length it is `SECTION_S`, or up to the end.

    Raises
    ------
    AudioError
        The music cannot be used, or the section is not in it.
    ManifestError
        ``bad_name``: a manifest cannot name a file.
    """
    output = absolute(output or join("audition", default_id(ambience, music)))
    ambience, music = absolute(ambience), absolute(music)
    check_names([ambience, music])
    if duration_s is None:
        duration_s = _default_length_s(music, start_s, workspace)
    text = io.StringIO()
    write_manifest(_rows(ambience, music, start_s, duration_s, format_), text)
    manifest = join(output, "manifest.csv")
    write_bytes(manifest, text.getvalue().encode())
    folders = {place.rpartition("/")[0] or "/" for place in (ambience, music)}
    return Audition(output, manifest, tuple(sorted(folders)))


def _rows(
    ambience: str, music: str, start_s: float, duration_s: float | None, format_: AudioFormat
) -> Iterator[ManifestRow]:
    ways = [(DEFAULT_PRESET, strength) for strength in STRENGTHS]
    ways += [(name, STRENGTHS[-1]) for name in PRESETS if name != DEFAULT_PRESET]
    for line, (preset, strength) in enumerate(ways, start=2):
        name = f"{preset}-{strength:g}"
        yield ManifestRow(
            line=line,
            id=name,
            ambience=Ambiences((ambience,), (1.0,)),
            music=music,
            output=f"{name}.{format_}",
            strength=strength,
            preset=preset,
            start_s=start_s,
            duration_s=duration_s,
        )


def _default_length_s(music: str, start_s: float, workspace: Workspace) -> float | None:
    """Return `SECTION_S`, or None for music that ends before."""
    with workspace.scratch_folder() as scratch, fetched_sound(music, scratch) as path:
        sound = read_long_audio(path, start_s=start_s, at_most_s=SECTION_S, scratch=scratch)
        goes_on = any(each.startswith("cut_at=") for each in sound.warnings)
        return SECTION_S if goes_on else None
