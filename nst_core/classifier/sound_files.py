"""Sound files below a folder: in it, and in its album folders."""

from collections.abc import Iterator
from pathlib import Path

from nst_core.errors import AudioError

SOUND_SUFFIXES = (
    *(".wav", ".wave", ".bwf", ".rf64", ".w64", ".aif", ".aiff", ".aifc", ".caf", ".au", ".snd"),
    *(".flac", ".mp3", ".mp2", ".ogg", ".oga", ".opus", ".spx", ".m4a", ".m4b", ".mp4", ".aac"),
    *(".ac3", ".wma", ".webm", ".mka", ".mkv", ".wv", ".ape", ".tta", ".tak", ".mpc", ".dsf"),
    *(".amr", ".voc"),
)
"""Suffixes of the sound files that the loader reads, in a folder or an archive."""
_HIDDEN = (".", "__MACOSX")
"""Starts of hidden names: archives of a Mac contain a "._name.wav" with metadata for every file."""


def is_sound(path: Path) -> bool:
    """Return whether a file's suffix is that of a sound."""
    return path.suffix.lower() in SOUND_SUFFIXES


def subfolders(folder: Path) -> list[Path]:
    """Return the visible folders in a folder, by name.

    Raises
    ------
    AudioError
        ``permission``: this user must not list the folder.
    """
    return [path for path in _entries(folder) if path.is_dir()]


def files_in(folder: Path) -> list[Path]:
    """Return the visible files directly in a folder, by name; errors are those of `subfolders`."""
    return [path for path in _entries(folder) if path.is_file()]


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the visible files in a folder and in all folders below it.

    Links to folders are followed, except back to a folder that contains them.

    Raises
    ------
    AudioError
        ``permission``: this user must not list one of the folders.
    """
    yield from _files_below(folder, frozenset())


def _files_below(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    real = folder.resolve()
    if real in above:
        return
    for path in _entries(folder):
        if path.is_dir():
            yield from _files_below(path, above | {real})
        elif path.is_file():
            yield path


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith(_HIDDEN))
    except PermissionError:
        reason = "is a folder that this user must not list; change its permissions"
        raise AudioError("permission", folder, reason) from None
