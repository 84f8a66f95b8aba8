import dataclasses
import math
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from nst_core.config import MelConfig
from nst_core.errors import AudioError
from nst_core.transfer.analysis import load_analysis
from tasks.jobs.identities import identify_inputs, identify_patiently
from tasks.jobs.pair import AnalysisJob
from tasks.mels import compute_mels
from tasks.running.caching import artefact
from tasks.running.retry import DELAYS_S
from tasks.running.workspace import Workspace
from tasks.storage import s3
from tasks.storage.errors import StorageError
from tasks.storage.files import publish, sha256_file
from tests.limits import full_disk

SR = 22_050


def _job(path: Path, **options: float) -> AnalysisJob:
    return AnalysisJob(uri=str(path), sha256=sha256_file(path), name="music", **options)


def test_an_input_becomes_its_waveform_and_mel(sounds: Path, workspace: Workspace) -> None:
    job = _job(sounds / "tune.wav")
    record = compute_mels.fn(job, workspace)
    assert record.meta["duration_s"] == 3.0
    assert record.meta["warnings"] == []
    with artefact(job, workspace) as path:
        analysis = load_analysis(path)
    # The package writes 16-bit files.
    np.testing.assert_allclose(analysis.y, sf.read(sounds / "tune.wav")[0], atol=1e-6)
    assert analysis.M.shape == (384, 1 + 3 * SR // 256)


def test_a_section_is_what_is_analysed(sounds: Path, workspace: Workspace) -> None:
    job = _job(sounds / "tune.wav", start_s=1.0, duration_s=0.5)
    assert compute_mels.fn(job, workspace).meta["duration_s"] == 0.5
    with artefact(job, workspace) as path:
        y = load_analysis(path).y
    np.testing.assert_allclose(y, sf.read(sounds / "tune.wav")[0][SR : SR + SR // 2], atol=1e-6)


@pytest.mark.parametrize(("name", "shape"), [("music", (48_000, 2)), ("ambience", (48_000, 2))])
def test_music_and_ambience_keep_their_rate_and_channels(
    tmp_path: Path, workspace: Workspace, name: str, shape: tuple[int, ...]
) -> None:
    t = np.arange(48_000) / 48_000
    sf.write(tmp_path / "a.wav", np.stack([np.sin(440 * math.tau * t) / 2] * 2, axis=1), 48_000)
    job = dataclasses.replace(_job(tmp_path / "a.wav"), name=name)
    compute_mels.fn(job, workspace)
    with artefact(job, workspace) as path:
        y = load_analysis(path).y
    assert y.shape == shape
    assert np.argmax(np.abs(np.fft.rfft(y[:, 0]))) == 440


def test_warnings_about_the_sound_are_in_the_record(tmp_path: Path, workspace: Workspace) -> None:
    t = np.arange(16_000) / 16_000
    sf.write(tmp_path / "a.wav", 0.2 + 0.1 * np.sin(440 * math.tau * t), 16_000)
    record = compute_mels.fn(_job(tmp_path / "a.wav"), workspace)
    assert record.meta["warnings"] == ["dc_offset=0.20", "low_rate=16000"]


def test_copies_of_a_file_share_one_analysis(
    sounds: Path, workspace: Workspace, tmp_path: Path, made: Callable[[], list[str]]
) -> None:
    shutil.copy(sounds / "tune.wav", tmp_path / "same music.wav")
    one, other = _job(sounds / "tune.wav"), _job(tmp_path / "same music.wav")
    assert one.key == other.key
    assert compute_mels.fn(one, workspace) == compute_mels.fn(other, workspace)
    assert made() == ["origin", "mels"]


def test_a_key_follows_all_that_decides_the_analysis(sounds: Path) -> None:
    job = _job(sounds / "tune.wav")
    others = [
        _job(sounds / "rain.wav"),
        dataclasses.replace(job, name="ambience"),
        dataclasses.replace(job, start_s=0.5),
        dataclasses.replace(job, duration_s=1.0),
        dataclasses.replace(job, mel=MelConfig(n_mels=128)),
    ]
    assert len({job.key, *(other.key for other in others)}) == 6


def _tone(path: Path, seconds: float, level: float = 0.1) -> None:
    t = np.arange(round(seconds * SR)) / SR
    sf.write(path, level * np.sin(440 * math.tau * t), SR)


def _truncated(path: Path) -> None:
    _tone(path, 1.0)
    path.write_bytes(path.read_bytes()[:20_000])


BAD_FILES = {
    "short": (lambda path: _tone(path, 0.1), "too_short", "at least 0.25 s is needed"),
    "silent": (lambda path: _tone(path, 1.0, 0.0), "silent", "silent"),
    "damaged": (_truncated, "truncated", "incomplete"),
    "text": (lambda path: path.write_text("la la la\n" * 99), "not_audio", ""),
    "empty": (lambda path: path.write_bytes(b""), "empty_file", ""),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_file_that_cannot_be_used_fails_by_name_with_its_code(
    tmp_path: Path, workspace: Workspace, kind: str
) -> None:
    make, code, rule = BAD_FILES[kind]
    make(tmp_path / f"{kind}.wav")
    with pytest.raises(AudioError, match=rf"{kind}\.wav: .*{rule}") as caught:
        compute_mels.fn(_job(tmp_path / f"{kind}.wav"), workspace)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("section", "code"),
    [
        ({"start_s": 3.0}, "bad_range"),
        ({"start_s": -1.0}, "bad_range"),
        ({"start_s": 2.5, "duration_s": 1.0}, "bad_range"),
        ({"start_s": 2.9}, "too_short"),
    ],
)
def test_a_section_outside_the_file_is_refused_by_name(
    sounds: Path, workspace: Workspace, section: dict[str, float], code: str
) -> None:
    with pytest.raises(AudioError, match=r"tune\.wav: ") as caught:
        compute_mels.fn(_job(sounds / "tune.wav", **section), workspace)
    assert caught.value.code == code


def test_a_full_scratch_folder_is_named_with_the_way_out(
    sounds: Path, workspace: Workspace
) -> None:
    refused = pytest.raises(StorageError, match=r"make room there.*AMNST_SCRATCH")
    with full_disk(300_000), refused as caught:
        compute_mels.fn(_job(sounds / "tune.wav"), workspace)
    assert workspace.scratch in str(caught.value)
    assert list(Path(workspace.scratch).iterdir()) == []


def test_a_file_replaced_after_hashing_is_not_analysed(
    tmp_path: Path, workspace: Workspace
) -> None:
    _tone(tmp_path / "a.wav", 1.0)
    job = _job(tmp_path / "a.wav")
    _tone(tmp_path / "a.wav", 2.0)
    with pytest.raises(AudioError, match="changed after the manifest was read") as caught:
        compute_mels.fn(job, workspace)
    assert caught.value.code == "changed"
    assert not workspace.store.exists(job.stage, job.key)


def test_an_input_replaced_while_it_is_read_is_never_stored_under_the_wrong_key(
    tmp_path: Path, workspace: Workspace
) -> None:
    path, beside = tmp_path / "a.wav", tmp_path / "b.wav"
    _tone(path, 1.0)
    job = _job(path)
    _tone(beside, 1.0, level=0.3)
    versions = [path.read_bytes(), beside.read_bytes()]
    stop = threading.Event()

    def exchange() -> None:
        while not stop.is_set():
            for data in versions:
                beside.write_bytes(data)
                beside.replace(path)

    writer = threading.Thread(target=exchange)
    writer.start()
    found = []
    try:
        for number in range(60):
            section = dataclasses.replace(job, duration_s=0.5 + number / 1000)
            try:
                compute_mels.fn(section, workspace)
            except AudioError as error:
                found.append(error.code)
                continue
            with artefact(section, workspace) as stored:
                found.append(f"{np.max(np.abs(load_analysis(stored).y)):.1f}")
    finally:
        stop.set()
        writer.join()
    assert set(found) <= {"0.1", "changed"}


def test_inputs_are_identified_by_content_and_the_missing_by_reason(
    sounds: Path, tmp_path: Path, workspace: Workspace
) -> None:
    tune, gone = str(sounds / "tune.wav"), str(tmp_path / "gone.wav")
    found = identify_inputs([tune, gone, str(tmp_path), tune], workspace.scratch)
    assert list(found) == [tune, gone, str(tmp_path)]
    assert found[tune] == sha256_file(tune)
    assert isinstance(found[gone], AudioError)
    assert found[gone].code == "not_found"
    assert "gone.wav: does not exist" in str(found[gone])
    assert "is not a regular file" in str(found[str(tmp_path)])


def test_a_missing_remote_input_has_its_reason_and_spares_the_others(
    bucket: str, sounds: Path, workspace: Workspace
) -> None:
    tune = str(sounds / "tune.wav")
    found = identify_inputs([f"{bucket}/gone.wav", tune], workspace.scratch)
    assert isinstance(found[f"{bucket}/gone.wav"], StorageError)
    assert found[f"{bucket}/gone.wav"].code == "not_found"
    assert found[tune] == sha256_file(tune)


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], list[float]]]:
    """Stop the S3 server until the flow has waited some times; return how long it waited."""
    slept: list[float] = []

    def leave(n_waits: int) -> list[float]:
        there = os.environ["AWS_ENDPOINT_URL"]

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            if len(slept) == n_waits:
                monkeypatch.setenv("AWS_ENDPOINT_URL", there)
                s3._client.cache_clear()

        monkeypatch.setattr("tasks.running.retry.time.sleep", sleep)
        monkeypatch.setitem(s3._CONFIG, "retries", {"max_attempts": 0})
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        s3._client.cache_clear()
        return slept

    yield leave
    monkeypatch.undo()
    s3._client.cache_clear()


def test_inputs_whose_server_is_unreachable_share_one_wait(
    bucket: str, sounds: Path, workspace: Workspace, away: Callable[[int], list[float]]
) -> None:
    for name in ("a", "b"):
        publish(sounds / "tune.wav", f"{bucket}/{name}.wav")
    waits = away(2)
    uris = [f"{bucket}/{name}.wav" for name in ("a", "b", "gone")]
    found = identify_patiently(uris, workspace.scratch)
    assert waits == DELAYS_S[:2]
    assert [found[uri] for uri in uris[:2]] == [sha256_file(sounds / "tune.wav")] * 2
    assert isinstance(found[uris[2]], StorageError)
    assert found[uris[2]].code == "not_found"


def test_a_server_that_stays_away_is_the_reason_of_each_input_after_one_wait(
    bucket: str, workspace: Workspace, away: Callable[[int], list[float]]
) -> None:
    waits = away(99)
    found = identify_patiently([f"{bucket}/{k}.wav" for k in range(5)], workspace.scratch)
    assert waits == DELAYS_S
    assert {type(known) for known in found.values()} == {StorageError}


def test_missing_inputs_are_not_waited_for(
    bucket: str, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.running.retry.time.sleep", lambda _: pytest.fail("waited"))
    gone = [f"{bucket}/gone.wav", str(tmp_path / "gone.wav"), "ftp://host/a.wav"]
    assert {known.code for known in identify_patiently(gone, workspace.scratch).values()} == {
        "not_found", "bad_uri",
    }  # fmt: skip
