"""Jobs of a pair: what decides the bytes of each stage's result."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath

from nst_core import ALGORITHM_VERSION
from nst_core.config import DEFAULT_PRESET, MelConfig, OutputConfig, Strength, TransferConfig
from tasks.jobs.keys import ResultKey, artefact_key, parameters
from tasks.jobs.listen import DEFAULT_INPUTS, Inputs
from tasks.storage.lease import Claim

_ANALYSIS_VERSION = 8


@dataclass(frozen=True, kw_only=True)
class AnalysisJob:
    """Input of one or more pairs: the file, the section of it, and the analysis.

    `uri` says where to read and `sha256` which content; the key covers only the content.
    """

    uri: str
    sha256: str
    name: str
    """``music`` or ``ambience``."""
    start_s: float = 0.0
    duration_s: float | None = None
    mel: MelConfig = field(default_factory=MelConfig)

    stage = "mels"

    @cached_property
    def key(self) -> str:
        """Hash of the file's bytes, the section, the name and the mel settings."""
        section = {"start_s": self.start_s, "duration_s": self.duration_s, "name": self.name}
        return artefact_key(
            self.stage, _ANALYSIS_VERSION, {**section, "mel": parameters(self.mel)}, [self.sha256]
        )


_ORIGIN_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class OriginJob:
    """Music file of one or more pairs, whose rate, tags and cover their results get."""

    uri: str
    sha256: str

    stage = "origin"

    @cached_property
    def key(self) -> str:
        """Hash of the file's bytes."""
        return artefact_key(self.stage, _ORIGIN_VERSION, {}, [self.sha256])


_BLEND_VERSION = 2


@dataclass(frozen=True, kw_only=True)
class BlendJob:
    """Several ambiences of one or more pairs, and the share of each in the blend."""

    parts: tuple[AnalysisJob, ...]
    shares: tuple[float, ...]

    stage = "blend"

    @cached_property
    def key(self) -> str:
        """Hash of the analyses and the shares, in the order of the row."""
        keys = [part.key for part in self.parts]
        return artefact_key(self.stage, _BLEND_VERSION, {"shares": list(self.shares)}, keys)


def parts_of(ambience: AnalysisJob | BlendJob) -> Sequence[tuple[AnalysisJob, float]]:
    """Return the job of each file in an ambience, with its share."""
    if isinstance(ambience, AnalysisJob):
        return [(ambience, 1.0)]
    return list(zip(ambience.parts, ambience.shares, strict=True))


def comment_on(ambiences: Sequence[str], music: str, strength: Strength) -> str:
    """Return a sentence that says what a result is, by the names of its inputs' files."""
    names = [PurePosixPath(place).name for place in (*ambiences, music)]
    verb = "plays" if len(ambiences) == 1 else "play"
    shown = strength if isinstance(strength, str) else f"{strength:g}"
    return f"AM-NST: {' + '.join(names[:-1])} {verb} {names[-1]}, strength {shown}"


_AUDIO_VERSION = 2
_PICTURE_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class PairJob:
    """One row of a manifest: what to render, and the place of the output.

    Attributes
    ----------
    claim
        Claim of the run to the folder of `output_uri`; None if nobody else writes there.
    output_folder
        Folder of the catalogue, which has the listening page; empty if there is none.
    preset
        Name that `config` was made from; the report shows it.
    listen
        How the listening page plays the inputs.
    """

    row_id: str
    music: AnalysisJob
    ambience: AnalysisJob | BlendJob
    model_path: str
    model_sha256: str
    config: TransferConfig
    strength: Strength
    output: OutputConfig
    output_uri: str
    claim: Claim | None = None
    output_folder: str = ""
    preset: str = DEFAULT_PRESET
    listen: Inputs = DEFAULT_INPUTS

    @cached_property
    def transfer(self) -> ResultKey:
        """Key of the stylisation at full strength; rows that differ only in strength share it.

        It covers both inputs, the configuration, and the model if the configuration uses it.
        """
        model = [self.model_sha256] if self.config.uses_network else []
        key = artefact_key(
            "transfer",
            ALGORITHM_VERSION,
            parameters(self.config),
            [self.music.key, self.ambience.key, *model],
        )
        return ResultKey("transfer", key)

    @property
    def origin(self) -> OriginJob:
        """Job of the music's rate, tags and cover."""
        return OriginJob(uri=self.music.uri, sha256=self.music.sha256)

    @property
    def comment(self) -> str:
        """Comment in the audio file's tags."""
        ambiences = [part.uri for part, _ in parts_of(self.ambience)]
        return comment_on(ambiences, self.music.uri, self.strength)

    @cached_property
    def audio(self) -> ResultKey:
        """Key of the audio file.

        It covers the transfer, the strength, the file's format, and the names in its comment. The
        music's rate, tags and cover follow from its content, which the transfer covers.
        """
        key = artefact_key(
            "audio",
            f"{ALGORITHM_VERSION}.{_AUDIO_VERSION}",
            {
                "strength": self.strength,
                "output": parameters(self.output),
                "comment": self.comment,
            },
            [self.transfer.key],
        )
        return ResultKey("audio", key)

    @cached_property
    def picture(self) -> ResultKey:
        """Key of the small picture, which shows what is heard, whatever the file's format."""
        identity = artefact_key(
            "picture", _PICTURE_VERSION, {"strength": self.strength}, [self.transfer.key]
        )
        return ResultKey("picture", identity)

    @property
    def provenance_uri(self) -> str:
        """Place of the JSON next to the audio that records how it was made."""
        return f"{self.output_uri}.json"

    def check_claim(self) -> None:
        """Raise StorageError ``lease_lost`` if another run has taken the folder."""
        if self.claim:
            self.claim.check()
