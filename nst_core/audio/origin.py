"""Facts about a sound file that a result takes from its music: rate, tags and cover."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nst_core.config import AudioLimits
from nst_core.decoding.file_types import open_regular
from nst_core.decoding.isolation import decoded
from nst_core.decoding.tags import NO_TAGS, Tags
from nst_core.errors import AudioError

_FAILURES = ("decoder_crashed", "decoder_stalled", "decoder_memory")


@dataclass(frozen=True)
class Origin:
    """Facts about a sound file.

    Attributes
    ----------
    sr
        Sample rate of the file in Hz.
    tags
        Tags and cover.
    warnings
        ``cover_too_big=50MiB`` (covers above 5 MiB are left out), ``tags_unreadable``.
    """

    sr: int
    tags: Tags
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {"sr": self.sr, "tags": self.tags.to_json(), "warnings": list(self.warnings)}

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> "Origin":
        """Return what `to_json` was called on."""
        return cls(facts["sr"], Tags.from_json(facts["tags"]), tuple(facts["warnings"]))


def read_origin(
    path: str | Path, *, limits: AudioLimits | None = None, sha256: str | None = None
) -> Origin:
    """Read the rate, tags and cover of a sound file; tags that harm their reader are left out.

    Parameters
    ----------
    path
        A local file.
    sha256
        Expected hash of the file.

    Raises
    ------
    AudioError
        As in `nst_core.audio.reading.read_long_audio`, for a file that is not a sound.
    """
    limits = limits or AudioLimits()
    with open_regular(path, None) as fh, decoded(fh, path, limits, sha256=sha256) as sound:
        try:
            tags, warnings = sound.tags()
        except AudioError as error:
            if error.code not in _FAILURES:
                raise
            return Origin(sound.sr, NO_TAGS, ("tags_unreadable",))
        return Origin(sound.sr, tags, warnings)
