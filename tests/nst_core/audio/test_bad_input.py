"""Bad input gives a sensible result or an error with a reason."""

import dataclasses
import tracemalloc

import numpy as np
import pytest
import soundfile as sf

from nst_core.audio.reading import read_audio
from nst_core.config import PRESETS, AudioLimits, MelConfig, TransferConfig
from nst_core.errors import AudioError, SignalError
from nst_core.synth.sounds import ambience, music_piece
from nst_core.transfer.analysis import analyse
from nst_core.transfer.end_to_end import transfer_arrays
from nst_core.transfer.neural import stylise
from tests.sounds import rms

SR = 22_050
FEW = TransferConfig(n_iterations=3)
T = np.arange(3 * SR) / SR


def impulse():
    y = np.zeros(3 * SR, "f4")
    y[SR] = 1
    return y


RENDERED = {
    "quiet": lambda y: 1e-3 * y,
    "one step of 16 bits": lambda y: np.sign(y) / 32_768,
    "silent but for the end": lambda y: np.where(np.arange(len(y)) < len(y) - 2000, 0, y),
    "silent but for the beginning": lambda y: np.where(np.arange(len(y)) < 2000, y, 0),
    "an offset": lambda y: y + 0.5,
    "a tone": lambda _: 0.3 * np.sin(2 * np.pi * 440 * T),
    "a square at full scale": lambda _: np.sign(np.sin(2 * np.pi * 200 * T) + 1e-9),
    "an impulse": lambda _: impulse(),
    "0.3 s": lambda y: y[: round(0.3 * SR)],
    "the highest frequency": lambda y: 0.1 * (-1.0) ** np.arange(len(y)),
}


@pytest.fixture(scope="module")
def sounds():
    return {"music": music_piece("folk", 3.0, seed=0), "ambience": ambience("rain", 3.0, seed=0)}


@pytest.fixture(scope="module")
def transfer(classifier):
    def run(music, texture, *, sr=SR, config=FEW):
        return transfer_arrays(
            music, texture, sr=sr, config=config, strength=1.0, classifier=classifier
        )

    return run


@pytest.mark.parametrize("start", ["carrier", "music"])
@pytest.mark.parametrize("name", ["music", "ambience"])
@pytest.mark.parametrize("kind", RENDERED)
def test_a_strange_sound_is_rendered_at_the_musics_length_and_level(
    transfer, sounds, kind, name, start
):
    inputs = sounds | {name: RENDERED[kind](sounds[name]).astype("f4")}
    y = transfer(*inputs.values(), config=dataclasses.replace(FEW, start=start))
    music = inputs["music"]
    assert y.shape == music.shape
    assert np.isfinite(y).all()
    assert 0.5 * rms(music - music.mean()) < rms(y) < 1.02 * rms(music - music.mean())
    assert abs(y.mean()) < 0.1 * rms(y), "an offset is not a sound"


@pytest.mark.parametrize("name", ["music", "ambience"])
@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (np.full(SR, 0.3, "f4"), "silent"),
        (np.full((SR, 2), 0.3, "f4"), "silent"),
        (np.full(SR, 1e30, "f4"), "non_finite"),
        (np.full(1100, 0.1, "f4") * np.hanning(1100).astype("f4"), "too_short"),
    ],
    ids=["constant", "stereo constant", "absurd", "0.05 s"],
)
def test_a_file_without_sound_is_refused_by_name(transfer, sounds, name, bad, code):
    with pytest.raises(SignalError, match=name) as caught:
        transfer(*(sounds | {name: bad}).values())
    assert caught.value.code == code


def test_music_and_ambience_may_be_the_same(transfer, sounds):
    y = transfer(sounds["music"], sounds["music"])
    assert np.isfinite(y).all()
    assert rms(y) == pytest.approx(rms(sounds["music"]), rel=1e-2)


@pytest.mark.parametrize("sr", [8_000, 192_000])
def test_any_rate_is_rendered(transfer, sr):
    music, rain = music_piece("folk", 1.5, seed=0, sr=sr), ambience("rain", 1.5, seed=0, sr=sr)
    y = transfer(music, rain, sr=sr)
    assert y.shape == music.shape
    assert np.isfinite(y).all()
    assert rms(y) == pytest.approx(rms(music), rel=0.05)


def test_two_hours_of_ambience_cost_and_give_no_more_than_five_minutes(transfer, sounds):
    rate, music = 8_000, music_piece("folk", 3.0, seed=0, sr=8_000)
    minute = ambience("rain", 60.0, seed=0, sr=rate)
    hours = np.tile(minute, 120)
    hours[-1] = np.nan  # nobody reads it
    tracemalloc.start()
    y = transfer(music, hours, sr=rate)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400e6
    np.testing.assert_array_equal(y, transfer(music, np.tile(minute, 5), sr=rate))


def test_only_a_stretch_of_an_ambience_over_the_limit_is_read_with_a_warning(tmp_path):
    path, rate = tmp_path / "rain.flac", 8_000
    minute = ambience("rain", 60.0, seed=0, sr=rate)
    with sf.SoundFile(path, "w", rate, 1) as file:
        for _ in range(31):
            file.write(minute)
    with pytest.raises(AudioError, match="over the limit") as caught:
        read_audio(path)
    assert caught.value.code == "too_long"
    audio = read_audio(path, at_most_s=300)
    assert len(audio.y) == 300 * rate
    assert audio.warnings == ("cut_at=300s",)


def test_the_warning_names_the_second_at_which_the_duration_limit_cuts(tmp_path, sounds):
    sf.write(tmp_path / "a.wav", sounds["ambience"], SR)
    limits = AudioLimits(max_duration_s=2.0)
    audio = read_audio(tmp_path / "a.wav", start_s=1.5, at_most_s=1.0, limits=limits)
    assert len(audio.y) == pytest.approx(0.5 * SR, abs=1)
    assert audio.warnings == ("cut_at=0.5s",)


def test_a_file_shorter_than_the_maximum_is_read_whole(tmp_path, sounds):
    sf.write(tmp_path / "a.wav", sounds["ambience"], SR)
    for at_most_s in (3.0, 300.0):
        audio = read_audio(tmp_path / "a.wav", at_most_s=at_most_s)
        assert (len(audio.y), audio.warnings) == (3 * SR, ())


@pytest.mark.parametrize("name", [name for name in PRESETS if PRESETS[name].n_iterations])
@pytest.mark.parametrize("pair", [("folk", "rain"), ("rock", "wind"), ("chamber", "fire")])
def test_no_preset_diverges(classifier, name, pair):
    mel = MelConfig()
    music = analyse(music_piece(pair[0], 1.5, seed=0), mel, name="music")
    texture = analyse(ambience(pair[1], 1.5, seed=0), mel, name="ambience")
    config = PRESETS[name]
    found = stylise(music, texture, classifier, config)
    loss = config.content_weight * found.content_loss + config.style_weight * found.style_loss
    assert np.isfinite(loss).all()
    assert np.isfinite(found.gain_db).all()
    assert loss[found.best_iteration] == loss.min() <= loss[0]
    assert loss[-1] <= loss[0], "the end is no worse than the start either"
