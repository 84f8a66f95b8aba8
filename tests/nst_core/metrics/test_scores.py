import dataclasses

import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from nst_core.metrics import scores as metrics
from nst_core.metrics import texture
from nst_core.metrics.gates import carrier_deviation, follow
from nst_core.metrics.scores import evaluate, high_share
from nst_core.metrics.texture import texture_distance, texture_moved
from nst_core.synth.sounds import ambience, music_piece
from tests.cheats import under_envelopes
from tests.sounds import noise, tone

SR = 22_050


@pytest.fixture(scope="module")
def sounds():
    """Music of 4 s, the ambience that is used, and its other half as the reference."""
    rain = ambience("rain", 8.0, seed=0)
    return music_piece("folk", 4.0, seed=0), rain[: 4 * SR], rain[4 * SR :]


@pytest.fixture(scope="module")
def judge(sounds):
    music, _, kept = sounds
    return lambda y: evaluate(y, music, kept, SR)


def test_the_music_itself_is_all_content_and_no_transfer(sounds, judge):
    found = judge(sounds[0])
    for name in ("content", "chroma", "onset_correlation", "spectrum", "onset_f1"):
        assert getattr(found, name) == pytest.approx(1, abs=1e-4), name
    for name in ("texture", "spectrum_moved", "carrier_db"):
        assert getattr(found, name) == pytest.approx(0, abs=1e-3), name


def test_the_ambience_itself_is_all_style_and_no_content(sounds, judge):
    reference, used = judge(sounds[2]), judge(sounds[1])
    assert reference.content == pytest.approx(0, abs=1e-4)
    assert reference.spectrum_moved == pytest.approx(1, abs=1e-4)
    assert abs(used.content) < 0.15
    assert used.spectrum_moved > 0.8
    assert used.texture > 0.7
    assert used.carrier_db > 4


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_a_plain_mix_scores_in_texture_or_spectrum_and_fails_the_gates(sounds, judge, share):
    found = judge(np.sqrt(1 - share) * sounds[0] + np.sqrt(share) * sounds[1])
    assert found.spectrum_moved > 0.3
    assert found.follow < 0.25
    assert found.carrier_db < 3.4


def test_figures_do_not_depend_on_level(sounds, judge):
    music, used, kept = sounds
    mixed = music + used
    quiet = evaluate(0.01 * mixed, 3 * music, 0.2 * kept, SR)
    for name, value in dataclasses.asdict(judge(mixed)).items():
        assert getattr(quiet, name) == pytest.approx(value, abs=2e-3), name


def test_a_transposed_melody_keeps_the_rhythm_and_loses_the_harmony(sounds, judge):
    music = sounds[0]
    at = np.arange(0, len(music) - 1, 2 ** (1 / 12))
    semitone_up = np.interp(at, np.arange(len(music)), music).astype("f4")
    found = judge(semitone_up)
    assert found.chroma < 0.3
    assert found.spectrum < 0.6


def test_equalised_music_is_still_the_music(sounds, judge):
    low = sosfilt(butter(1, 1500, fs=SR, output="sos"), sounds[0]).astype("f4")
    found = judge(low)
    assert found.content > 0.85
    assert found.onset_f1 > 0.8
    assert found.carrier_db < 0.5
    assert found.texture < 0.3


def test_onsets_are_found_within_50_ms_and_not_beyond():
    clicks, texture = np.zeros(4 * SR, "f4"), noise(4.0)
    for at in np.arange(0.3, 3.8, 0.31):
        start = round(at * SR)
        clicks[start : start + 400] = noise(seed=1)[:400] * np.linspace(1, 0, 400)

    def f1(shift_s):
        return evaluate(np.roll(clicks, round(shift_s * SR)), clicks, texture, SR).onset_f1

    assert f1(0.0) == 1
    assert f1(0.03) > 0.9
    assert f1(0.12) < 0.2


def test_a_pure_gain_or_filter_leaves_the_carrier_and_new_noise_replaces_it(sounds):
    music = sounds[0]
    assert carrier_deviation(0.3 * music, music, SR) < 1e-3
    filtered = sosfilt(butter(1, 1000, fs=SR, output="sos"), music).astype("f4")
    assert carrier_deviation(filtered, music, SR) < 0.5
    assert carrier_deviation(noise(4.0), music, SR) > 4
    shares = [carrier_deviation(music + g * noise(4.0), music, SR) for g in (0.1, 0.5, 2.0)]
    assert np.all(np.diff(shares) > 0)


def test_what_breathes_with_the_music_follows_and_what_is_laid_over_does_not():
    swell = 0.55 + 0.45 * np.sin(2 * np.pi * 1.5 * np.arange(4 * SR) / SR)
    music = (swell * sum(tone(hz, 4.0) for hz in (220, 660, 1500, 4000))).astype("f4")
    breathing = (swell * noise(4.0)).astype("f4")
    against = ((1.1 - swell) * noise(4.0)).astype("f4")
    assert follow(breathing, music, SR) > 0.4
    assert follow(noise(4.0), music, SR) < 0.1
    assert follow(against, music, SR) < -0.3
    assert follow(music + noise(4.0), music, SR) < 0.1


def test_the_share_above_6_khz_is_that_of_the_energy():
    assert high_share(tone(8000), SR) > 0.99
    assert high_share(tone(1000), SR) < 0.01
    assert high_share(tone(8000) + tone(1000), SR) == pytest.approx(0.5, abs=0.01)
    assert high_share(noise(), SR) == pytest.approx(1 - 6000 / 11_025, abs=0.02)
    assert high_share(np.zeros(SR, "f4"), SR) == 0


def texture_statistics(y):
    return texture._grain_statistics(texture._band_envelopes(y, SR), SR)


def test_textures_are_near_their_own_kind_and_far_from_another():
    same = texture_distance(
        texture_statistics(ambience("rain", 5.0, seed=0)),
        texture_statistics(ambience("rain", 5.0, seed=1)),
    )
    other = texture_distance(
        texture_statistics(ambience("rain", 5.0, seed=0)),
        texture_statistics(ambience("fire", 5.0, seed=0)),
    )
    assert same < 0.4 * other


def test_texture_statistics_do_not_hear_a_slow_swell():
    rain = ambience("rain", 5.0, seed=0)
    swell = (1 + 0.7 * np.sin(2 * np.pi * 0.4 * np.arange(5 * SR) / SR)).astype("f4")
    plain = texture_statistics(rain)
    assert texture_distance(texture_statistics(swell * rain), plain) < 0.05
    fast = (1 + 0.7 * np.sin(2 * np.pi * 20 * np.arange(5 * SR) / SR)).astype("f4")
    assert texture_distance(texture_statistics(fast * rain), plain) > 0.15


def test_texture_rises_with_the_share_of_grain(sounds):
    music, used, kept = sounds
    control = under_envelopes(music, used, SR)
    moved = [
        texture_moved((1 - s) * music + s * control, music, kept, SR) for s in (0.0, 0.3, 0.6, 1.0)
    ]
    assert np.all(np.diff(moved) > 0)


@pytest.mark.parametrize("y", [np.zeros(4 * SR, "f4"), tone(440, 4.0), np.eye(1, 4 * SR)[0]])
def test_a_bad_result_is_judged_and_not_refused(judge, y):
    found = judge(y.astype("f4"))
    assert all(np.isfinite(value) for value in dataclasses.asdict(found).values())
    assert found.content < 0.6


def test_the_longer_of_result_and_music_is_cut(sounds, judge):
    music, used, _ = sounds
    mixed = music + used
    longer = np.concatenate([mixed, noise(1.0)])
    assert judge(longer) == judge(mixed)


def test_a_long_piece_is_judged_by_four_minutes_spread_over_it():
    assert metrics._excerpts(240 * SR, SR) == [slice(0, 240 * SR)]
    heard = metrics._excerpts(1000 * SR, SR)
    assert [part.stop - part.start for part in heard] == [30 * SR] * 8
    assert (heard[0].start, heard[-1].stop) == (0, 1000 * SR)
    gaps = np.diff([part.start for part in heard])
    assert gaps.max() - gaps.min() <= 1
    assert gaps.min() > 30 * SR


def test_excerpts_of_a_piece_have_the_figures_of_the_piece(monkeypatch):
    music, rain = music_piece("folk", 40.0, seed=0), ambience("rain", 40.0, seed=0)
    whole = evaluate(music + rain, music, rain, SR)
    monkeypatch.setattr(metrics, "_EXCERPT_S", 3.0)
    parts = evaluate(music + rain, music, rain, SR)
    assert parts != whole
    for name in ("content", "texture", "spectrum_moved", "onset_f1"):
        assert getattr(parts, name) == pytest.approx(getattr(whole, name), abs=0.05), name
    assert parts.carrier_db == pytest.approx(whole.carrier_db, abs=0.3)


def test_a_stereo_result_is_judged_by_its_mono_mix(sounds):
    music, rain = sounds[0], sounds[1]
    both = np.stack([music + rain, music - rain], axis=1)
    assert evaluate(both, music, rain, SR) == evaluate(both.mean(axis=1), music, rain, SR)


def test_threads_change_no_figure(sounds):
    music, used, kept = sounds
    assert evaluate(used, music, kept, SR, n_threads=3) == evaluate(used, music, kept, SR)


@pytest.mark.parametrize("other", ["the same", "louder", "with a little noise", "twice as long"])
def test_inputs_that_are_alike_leave_the_figures_empty_that_have_no_scale(sounds, other):
    music = sounds[0]
    like = {
        "the same": music,
        "louder": 3 * music,
        "with a little noise": music + 1e-3 * noise(4.0, seed=1),
        "twice as long": np.tile(music, 2),
    }[other]
    found = evaluate(music + 0.1 * sounds[1], music, like, SR)
    for name in ("content", "chroma", "onset_correlation", "spectrum", "spectrum_moved"):
        assert getattr(found, name) is None, name
    figures = [value for value in dataclasses.astuple(found) if value is not None]
    assert np.all(np.abs(figures) < 10)


def test_no_figure_is_out_of_proportion_for_inputs_that_resemble_each_other(sounds):
    """Two tones a hertz apart, and two pieces of one band."""
    band = (music_piece("electronic", 4.0, seed=seed) for seed in (1, 2))
    pairs = [(tone(440.0, 4.0), tone(441.0, 4.0)), tuple(band)]
    for music, like in pairs:
        found = dataclasses.astuple(evaluate(sounds[1], music, like, SR))
        assert np.all(np.abs([value for value in found if value is not None]) < 20)
