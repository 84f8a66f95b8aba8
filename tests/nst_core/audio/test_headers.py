"""A header says what reading would find, for every format and every refusal that it can show."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from nst_core.audio.headers import check_section, read_header
from nst_core.audio.reading import read_audio
from nst_core.config import AudioLimits
from nst_core.errors import AudioError

SR = 22_050


@pytest.fixture
def sound(tmp_path: Path):
    def make(name: str = "a.wav", seconds: float = 2.0) -> Path:
        t = np.arange(round(seconds * SR)) / SR
        y = 0.3 * np.sin(2 * np.pi * 300 * t)
        sf.write(tmp_path / name, np.stack([y, y], axis=1), SR)
        return tmp_path / name

    return make


@pytest.mark.parametrize(
    ("name", "is_exact"),
    [("a.wav", True), ("a.flac", True), ("a.aiff", True), ("a.ogg", False), ("a.mp3", False)],
)
def test_rate_channels_and_length_are_those_of_the_sound(sound, name, is_exact):
    header = read_header(sound(name))
    assert (header.sr, header.n_channels, header.is_exact) == (SR, 2, is_exact)
    assert header.duration_s == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("name", ["a.wav", "a.ogg", "a.mp3"])
@pytest.mark.parametrize(
    ("start_s", "duration_s", "code"),
    [
        (0.0, None, None),
        (1.0, 1.0, None),
        (2.5, None, "bad_range"),
        (1.0, 1.5, "bad_range"),
        (1.9, None, "too_short"),
        (0.0, 2000.0, "too_long"),
        (1900.0, None, "bad_range"),
    ],
)
def test_a_section_is_refused_exactly_when_reading_it_is(sound, name, start_s, duration_s, code):
    path, codes = sound(name), []
    for look in (lambda **section: check_section(read_header(path), **section),
                 lambda **section: read_audio(path, **section)):  # fmt: skip
        try:
            look(start_s=start_s, duration_s=duration_s)
            codes.append(None)
        except AudioError as error:
            codes.append(error.code)
    assert codes == [code, code]


def test_a_file_without_a_declared_length_is_decoded_only_near_its_end(sound):
    header = read_header(sound("a.ogg", seconds=4.0))
    assert not check_section(header, start_s=0.5, duration_s=1.0).is_exact
    exact = check_section(header, start_s=2.5, duration_s=1.0)
    assert (exact.is_exact, exact.n_frames) == (True, 4 * SR)


def test_what_the_beginning_shows_is_refused_with_the_codes_of_reading(sound, tmp_path):
    whole = sound().read_bytes()
    bad = {
        "empty_file": b"",
        "not_audio": b"this is a text, and not a sound" * 20,
        "unsupported_format": b"%PDF-1.7 and so on",
        "truncated": whole[: len(whole) // 2],
    }
    for code, data in bad.items():
        path = tmp_path / f"{code}.wav"
        path.write_bytes(data)
        for look in (read_header, read_audio):
            with pytest.raises(AudioError) as caught:
                look(path)
            assert caught.value.code == code, look
    with pytest.raises(AudioError) as caught:
        read_header(tmp_path / "none.wav")
    assert caught.value.code == "not_found"


def test_a_whole_file_over_the_limits_is_refused_and_a_section_is_not(sound):
    header = read_header(sound())
    small = AudioLimits(max_bytes=10_000)
    with pytest.raises(AudioError, match="read a section of it") as caught:
        check_section(header, limits=small)
    assert caught.value.code == "too_big"
    check_section(header, duration_s=0.5, limits=small)
    check_section(header, at_most_s=300.0, limits=small)
    with pytest.raises(AudioError) as caught:
        check_section(header, limits=AudioLimits(max_duration_s=1.0))
    assert caught.value.code == "too_long"
    check_section(header, at_most_s=0.5, limits=AudioLimits(max_duration_s=1.0))
