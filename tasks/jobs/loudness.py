"""Job of a piece of music's loudness, which a catalogue needs before it renders as an album."""

from dataclasses import dataclass
from functools import cached_property

from tasks.jobs.keys import artefact_key

_LOUDNESS_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class LoudnessJob:
    """Section of a music file whose loudness is measured."""

    uri: str
    sha256: str
    start_s: float = 0.0
    duration_s: float | None = None

    stage = "loudness"

    @cached_property
    def key(self) -> str:
        """Hash of the file's bytes and of the section."""
        section = {"start_s": self.start_s, "duration_s": self.duration_s}
        return artefact_key(self.stage, _LOUDNESS_VERSION, section, [self.sha256])
