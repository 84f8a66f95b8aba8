import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from nst_core.config import OutputConfig, TransferConfig
from tasks import carriers
from tasks.caching import Workspace, artefact
from tasks.files import StorageError
from tasks.invert import RenderJob, invert_pair
from tasks.transfer import transfer_pair
from tasks.upload import UploadJob


def _at(pair: UploadJob, strength: float, **output: object) -> RenderJob:
    config = dataclasses.replace(pair.render.transfer.config, strength=strength)
    transfer = dataclasses.replace(pair.render.transfer, config=config)
    return RenderJob(transfer=transfer, output=OutputConfig(**output))


def _sound(job: RenderJob, workspace: Workspace) -> tuple[np.ndarray, sf.SoundFile]:
    invert_pair(job, workspace)
    with artefact(job, workspace) as path:
        return sf.read(path)[0], sf.info(path)


def test_strength_0_is_the_music_and_more_is_farther_from_it(
    rendered: Workspace, pair: UploadJob, sounds: Path
) -> None:
    music = sf.read(sounds / "tune.wav")[0]
    results = [_sound(_at(pair, strength), rendered)[0] for strength in (0.0, 0.5, 1.0)]
    distances = [float(np.sqrt(np.mean((y - music) ** 2))) for y in results]
    assert distances[0] < 1e-4
    assert distances[0] < distances[1] < distances[2]


def test_a_carrier_in_memory_changes_no_sample_and_is_forgotten(
    rendered: Workspace, pair: UploadJob
) -> None:
    job, transfer = pair.render, pair.render.transfer
    rendered.store.delete("transfer", transfer.key)
    transfer_pair.fn(transfer, rendered, pair.row_id)
    at_hand = carriers.taken(transfer.key, transfer.config.strength)
    assert list(at_hand) == [transfer.config.strength]
    shas = []
    for kept in (at_hand, {}):
        rendered.store.delete("audio", job.key)
        carriers.keep(transfer.key, transfer.config.strength, kept)
        shas.append(invert_pair(job, rendered).sha256)
        assert carriers.taken(transfer.key, transfer.config.strength) == {}
    assert shas[0] == shas[1]


def test_a_stored_sound_leaves_no_carrier_in_memory(rendered: Workspace, pair: UploadJob) -> None:
    carriers.keep(pair.render.transfer.key, 0.7, {0.7: np.zeros(1, "f4")})
    invert_pair(pair.render, rendered)
    assert carriers.taken(pair.render.transfer.key, 0.7) == {}


def test_carriers_that_nobody_takes_give_way_to_newer_ones() -> None:
    for number in range(10):
        carriers.keep("a transfer", number / 10, {number / 10: np.zeros(1, "f4")})
    found = [carriers.taken("a transfer", number / 10) for number in range(10)]
    assert [not each for each in found] == [True] * 6 + [False] * 4


def test_the_file_is_what_the_output_asks_for(rendered: Workspace, pair: UploadJob) -> None:
    job = _at(pair, 0.7, format="flac", subtype="PCM_24", sample_rate=44_100, loudness_lufs=-20.0)
    y, info = _sound(job, rendered)
    assert (info.format, info.subtype, info.samplerate) == ("FLAC", "PCM_24", 44_100)
    assert len(y) == 3 * 44_100
    record = rendered.store.find(job.stage, job.key)
    assert record.meta["loudness_lufs"] == pytest.approx(-20.0, abs=0.05)
    assert record.blob.endswith(".flac")
    assert (record.meta["sample_rate"], record.meta["duration_s"]) == (44_100, 3.0)


def test_the_record_holds_levels_and_figures_of_the_file(
    rendered: Workspace, pair: UploadJob, sounds: Path
) -> None:
    record = rendered.store.find("audio", pair.render.key)
    y, info = sf.read(Path(rendered.store_uri, record.blob))
    assert info == record.meta["sample_rate"] == 22_050
    assert record.meta["duration_s"] == len(y) / info
    gain = 10 ** (record.meta["gain_db"] / 20)
    assert np.abs(y).max() == pytest.approx(record.meta["peak"] * gain, abs=2e-3)
    figures = {name: v for name, v in record.meta.items() if isinstance(v, float)}
    assert len(figures) > 6
    assert all(math.isfinite(value) for value in figures.values())


def test_a_key_follows_strength_and_format_only_of_what_the_transfer_leaves_open(
    pair: UploadJob,
) -> None:
    keys = {
        _at(pair, 0.7).key,
        _at(pair, 0.6).key,
        _at(pair, 0.7, format="flac").key,
        _at(pair, 0.7, subtype="PCM_24").key,
        _at(pair, 0.7, sample_rate=44_100).key,
        _at(pair, 0.7, loudness_lufs=-20.0).key,
    }
    assert len(keys) == 6
    assert pair.render.key in keys, "0.7 is the default"
    assert TransferConfig().strength == 0.7


def test_audio_without_its_transfer_says_so(
    rendered: Workspace, pair: UploadJob, made: Callable[[], list[str]]
) -> None:
    job = _at(pair, 0.2)
    rendered.store.delete("transfer", job.transfer.key)
    with pytest.raises(StorageError, match=r"transfer artefact .* start the flow again"):
        invert_pair(job, rendered)
    assert made() == []
