"""The loudness of music before it is rendered."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from pyloudnorm import Meter

from nst_core.errors import AudioError
from tasks.jobs.loudness import LoudnessJob
from tasks.loudness import measure_loudness
from tasks.running.workspace import Workspace
from tasks.storage.files import sha256_file


def _job(path: Path, **section: float) -> LoudnessJob:
    return LoudnessJob(uri=str(path), sha256=sha256_file(path), **section)


def test_a_piece_is_measured_once(
    sounds: Path, workspace: Workspace, made: Callable[[], list[str]]
) -> None:
    y, sr = sf.read(sounds / "tune.wav")
    job = _job(sounds / "tune.wav")
    for _ in range(2):
        meta = measure_loudness.fn(job, workspace).meta
        assert meta["loudness_lufs"] == pytest.approx(Meter(sr).integrated_loudness(y), abs=0.05)
        assert meta["duration_s"] == 3.0
    assert made() == ["loudness"]


def test_only_the_section_is_measured(tmp_path: Path, workspace: Workspace) -> None:
    y = 0.1 * np.random.default_rng(0).standard_normal(4 * 8_000)
    y[16_000:] *= 0.1
    sf.write(tmp_path / "a.wav", y, 8_000)
    first, second = (
        measure_loudness.fn(_job(tmp_path / "a.wav", start_s=at, duration_s=2.0), workspace).meta
        for at in (0.0, 2.0)
    )
    assert first["loudness_lufs"] - second["loudness_lufs"] == pytest.approx(20, abs=0.1)


def test_music_below_the_gate_has_no_loudness(tmp_path: Path, workspace: Workspace) -> None:
    sf.write(tmp_path / "a.wav", 1e-4 * np.sin(np.arange(8_000) / 10), 8_000, subtype="FLOAT")
    record = measure_loudness.fn(_job(tmp_path / "a.wav"), workspace)
    assert record.meta["loudness_lufs"] is None


def test_a_damaged_file_is_named(tmp_path: Path, workspace: Workspace) -> None:
    (tmp_path / "a.wav").write_text("no sound\n" * 100)
    with pytest.raises(AudioError, match=r"a\.wav"):
        measure_loudness.fn(_job(tmp_path / "a.wav"), workspace)
