import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from pyloudnorm import Meter

from nst_core.config import DEFAULT_STRENGTH, OutputConfig
from tasks.invert import invert_pair
from tasks.jobs.pair import PairJob
from tasks.mels import compute_mels
from tasks.running import handover as carriers
from tasks.running.caching import artefact
from tasks.running.workspace import Workspace
from tasks.storage.errors import StorageError
from tasks.storage.files import sha256_file
from tasks.transfer import transfer_pair
from tests.meters import fine_peak_dbtp


def _at(pair: PairJob, strength: float, **output: object) -> PairJob:
    return dataclasses.replace(pair, strength=strength, output=OutputConfig(**output))


def _sound(job: PairJob, workspace: Workspace) -> tuple[np.ndarray, sf.SoundFile]:
    invert_pair(job, workspace)
    with artefact(job.audio, workspace) as path:
        return sf.read(path)[0], sf.info(path)


def test_strength_0_is_the_music_and_more_is_farther_from_it(
    rendered: Workspace, pair: PairJob, sounds: Path
) -> None:
    music = sf.read(sounds / "tune.wav")[0]
    results = [_sound(_at(pair, strength), rendered)[0] for strength in (0.0, 0.5, 1.0)]
    distances = [float(np.sqrt(np.mean((y - music) ** 2))) for y in results]
    assert distances[0] < 1e-4
    assert distances[0] < distances[1] < distances[2]


@pytest.mark.parametrize(
    "output", [{}, {"format": "ogg", "sample_rate": 44_100}, {"format": "opus"}], ids=str
)
def test_every_strength_is_as_loud_as_the_music_and_peaks_below_the_ceiling(
    rendered: Workspace, pair: PairJob, sounds: Path, output: dict[str, object]
) -> None:
    wanted = Meter(22_050).integrated_loudness(sf.read(sounds / "tune.wav")[0])
    ladder = []
    for strength in (0.0, 0.25, 0.5, 0.75, 1.0):
        job = _at(pair, strength, **output)
        y, info = _sound(job, rendered)
        ladder.append(Meter(info.samplerate).integrated_loudness(y))
        assert ladder[-1] == pytest.approx(wanted, abs=0.3)
        assert fine_peak_dbtp(y) < -0.85
        meta = rendered.store.find(*job.audio).meta
        assert meta["music_lufs"] == pytest.approx(wanted, abs=0.05)
    assert max(ladder) - min(ladder) < 0.2, "a louder step would seem better than it is"


def test_a_carrier_in_memory_changes_no_sample_and_is_forgotten(
    rendered: Workspace, pair: PairJob
) -> None:
    rendered.store.delete(*pair.transfer)
    transfer_pair.fn(pair, rendered)
    at_hand = carriers.taken(pair.transfer.key, pair.strength)
    assert list(at_hand) == [pair.strength]
    shas = []
    for kept in (at_hand, {}):
        rendered.store.delete(*pair.audio)
        carriers.keep(pair.transfer.key, pair.strength, kept)
        shas.append(invert_pair(pair, rendered).sha256)
        assert carriers.taken(pair.transfer.key, pair.strength) == {}
    assert shas[0] == shas[1]


def test_a_stored_sound_leaves_no_carrier_in_memory(rendered: Workspace, pair: PairJob) -> None:
    carriers.keep(pair.transfer.key, 0.7, {0.7: np.zeros(1, "f4")})
    invert_pair(pair, rendered)
    assert carriers.taken(pair.transfer.key, 0.7) == {}


def test_unused_carriers_are_replaced_by_newer_ones() -> None:
    for number in range(10):
        carriers.keep("a transfer", number / 10, {number / 10: np.zeros(1, "f4")})
    found = [carriers.taken("a transfer", number / 10) for number in range(10)]
    assert [not each for each in found] == [True] * 6 + [False] * 4


def test_the_file_has_the_requested_format(rendered: Workspace, pair: PairJob) -> None:
    job = _at(pair, 0.7, format="flac", subtype="PCM_24", sample_rate=44_100, loudness_lufs=-20.0)
    y, info = _sound(job, rendered)
    assert (info.format, info.subtype, info.samplerate) == ("FLAC", "PCM_24", 44_100)
    assert len(y) == 3 * 44_100
    record = rendered.store.find(*job.audio)
    assert record.meta["loudness_lufs"] == pytest.approx(-20.0, abs=0.1)
    assert record.blob.endswith(".flac")
    assert (record.meta["sample_rate"], record.meta["duration_s"]) == (44_100, 3.0)


def test_the_record_holds_levels_and_figures_of_the_file(
    rendered: Workspace, pair: PairJob, sounds: Path
) -> None:
    record = rendered.store.find("audio", pair.audio.key)
    y, info = sf.read(Path(rendered.store_uri, record.blob))
    assert info == record.meta["sample_rate"] == 22_050
    assert record.meta["duration_s"] == len(y) / info
    assert record.meta["true_peak_dbtp"] == pytest.approx(fine_peak_dbtp(y), abs=0.1)
    assert record.meta["loudness_lufs"] == pytest.approx(
        Meter(info).integrated_loudness(y), abs=0.05
    )
    assert record.meta["limited_db"] >= 0
    figures = {name: v for name, v in record.meta.items() if isinstance(v, float)}
    assert len(figures) > 6
    assert all(math.isfinite(value) for value in figures.values())


def test_an_audio_key_adds_only_strength_and_format(
    pair: PairJob,
) -> None:
    keys = {
        _at(pair, 0.7).audio.key,
        _at(pair, 0.6).audio.key,
        _at(pair, 0.7, format="flac").audio.key,
        _at(pair, 0.7, subtype="PCM_24").audio.key,
        _at(pair, 0.7, sample_rate=44_100).audio.key,
        _at(pair, 0.7, loudness_lufs=-20.0).audio.key,
    }
    assert len(keys) == 6
    assert pair.audio.key in keys, "0.7 is the default"
    assert DEFAULT_STRENGTH == 0.7


def test_audio_without_its_transfer_says_so(
    rendered: Workspace, pair: PairJob, made: Callable[[], list[str]]
) -> None:
    job = _at(pair, 0.2)
    rendered.store.delete("transfer", job.transfer.key)
    with pytest.raises(StorageError, match=r"transfer artefact .* run the flow again"):
        invert_pair(job, rendered)
    assert made() == []


def test_what_is_unusual_about_the_inputs_reaches_the_record(
    rendered: Workspace, pair: PairJob, sounds: Path, tmp_path: Path
) -> None:
    y, sr = sf.read(sounds / "tune.wav")
    loud = tmp_path / "clipped.wav"
    sf.write(loud, np.clip(30 * y, -1, 1), sr)
    music = dataclasses.replace(pair.music, uri=str(loud), sha256=sha256_file(loud))
    job = dataclasses.replace(pair, music=music)
    compute_mels.fn(music, rendered)
    transfer_pair.fn(job, rendered)
    assert invert_pair(job, rendered).meta["warnings"] == "music: clipped"
