"""Results get the rate, tags and cover of their music's file."""

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from PIL import Image

from nst_core.audio.origin import read_origin
from nst_core.audio.writing import encode
from nst_core.config import SUBTYPES, AudioFormat, OutputConfig
from nst_core.decoding.tags import Cover, Tags
from nst_core.errors import AudioError
from nst_core.synth.sounds import music_piece
from tasks.invert import invert_pair
from tasks.jobs.pair import AnalysisJob, OriginJob, PairJob
from tasks.mels import compute_mels
from tasks.origin import origin_of
from tasks.running.caching import artefact
from tasks.running.workspace import Workspace
from tasks.storage.files import publish, sha256_file
from tasks.transfer import transfer_pair

SR = 44_100


def _cover(side: int = 40) -> Cover:
    pixels = np.random.default_rng(2).integers(0, 255, (side, side, 3), np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return Cover("image/png", data.getvalue())


TAGS = Tags(
    title="Wälzer", artist="Ä & 日本", album="Album", track="3", date="2020-01-31", genre="Folk",
    comment="bought somewhere", cover=_cover(),
)  # fmt: skip


def _music(folder: Path, tags: Tags = TAGS) -> Path:
    path = folder / "tune.flac"
    encode(path, music_piece("folk", 3.0, seed=1, sr=SR), SR, format="flac", tags=tags)
    return path


@pytest.fixture
def tagged(pair: PairJob, tmp_path: Path, workspace: Workspace) -> PairJob:
    """A pair whose music has tags and is at 44.1 kHz, up to its transfer."""
    music = _music(tmp_path)
    job = dataclasses.replace(
        pair, music=AnalysisJob(uri=str(music), sha256=sha256_file(music), name="music")
    )
    compute_mels.fn(job.music, workspace)
    compute_mels.fn(job.ambience, workspace)
    transfer_pair.fn(job, workspace)
    return job


def test_every_format_gets_tags_cover_and_rate_of_the_music(
    tagged: PairJob, workspace: Workspace
) -> None:
    comment = "AM-NST: rain.wav plays tune.flac, strength 0.7"
    for kind in SUBTYPES:
        job = dataclasses.replace(tagged, output=OutputConfig(format=kind))
        record = invert_pair(job, workspace)
        with artefact(job.audio, workspace) as path:
            origin = read_origin(path)
            info = sf.info(path)
        assert origin.tags == dataclasses.replace(TAGS, comment=comment), kind
        rate = 48_000 if kind == "opus" else SR
        assert (origin.sr, info.samplerate, record.meta["sample_rate"]) == (rate, rate, rate), kind
        assert info.frames == 3 * rate, kind
        if kind in ("wav", "flac"):
            assert info.subtype == "PCM_24"


def test_tags_are_read_once_and_survive_the_loss_of_their_artefact(
    tagged: PairJob, workspace: Workspace, made: Callable[[], list[str]]
) -> None:
    made()
    invert_pair(tagged, workspace)
    assert made() == ["picture", "audio"]
    workspace.store.delete("origin", tagged.origin.key)
    assert origin_of(tagged.origin, workspace).tags == TAGS
    assert made() == ["origin"]


def test_music_that_has_changed_gives_no_tags(tagged: PairJob, workspace: Workspace) -> None:
    workspace.store.delete("origin", tagged.origin.key)
    _music(Path(tagged.music.uri).parent, Tags(title="another"))
    with pytest.raises(AudioError, match="sha256") as caught:
        origin_of(tagged.origin, workspace)
    assert caught.value.code == "changed"


def test_a_huge_cover_is_left_out_and_logged(
    tmp_path: Path, workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    music = _music(tmp_path, dataclasses.replace(TAGS, cover=_cover(1_500)))
    job = OriginJob(uri=str(music), sha256=sha256_file(music))
    assert origin_of(job, workspace).tags == dataclasses.replace(TAGS, cover=None)
    assert f"music {music}: cover_too_big=6MiB" in caplog.text


@pytest.mark.server
@pytest.mark.parametrize("kind", ["flac"])
def test_tags_come_from_s3_as_well(
    bucket: str, tmp_path: Path, workspace: Workspace, kind: AudioFormat
) -> None:
    music = _music(tmp_path)
    publish(music, f"{bucket}/a/tune.{kind}")
    job = OriginJob(uri=f"{bucket}/a/tune.{kind}", sha256=sha256_file(music))
    assert origin_of(job, workspace).tags == TAGS
