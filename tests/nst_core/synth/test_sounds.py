import tracemalloc

import numpy as np
import pytest

from nst_core.errors import ConfigError
from nst_core.synth.instruments import hertz
from nst_core.synth.score import compose
from nst_core.synth.sounds import AMBIENCES, GENRES, ambience, music_piece

SR = 22_050
SOUNDS = [(ambience, kind) for kind in AMBIENCES] + [(music_piece, genre) for genre in GENRES]


def power_frames(y, n_fft=1024, hop=256):
    frames = np.lib.stride_tricks.sliding_window_view(y, n_fft)[::hop] * np.hanning(n_fft)
    return np.abs(np.fft.rfft(frames, axis=1)) ** 2


def centroid_hz(y):
    power = power_frames(y).mean(axis=0)
    return np.sum(power * np.fft.rfftfreq(1024, 1 / SR)) / np.sum(power)


def flatness(y, low_hz, high_hz):
    """Return the geometric over the arithmetic mean of the power in a range: 1 is noise."""
    f = np.fft.rfftfreq(1024, 1 / SR)
    power = power_frames(y).mean(axis=0)[(f > low_hz) & (f < high_hz)]
    return np.exp(np.mean(np.log(power))) / np.mean(power)


def periodicity(y, low_s=0.002, high_s=0.05):
    """Highest autocorrelation between two lags, 1 is periodic."""
    spectrum = np.fft.rfft(y, 2 * len(y))
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)
    return np.max(correlation[round(low_s * SR) : round(high_s * SR)]) / correlation[0]


def loudness_curve(y, block_s=0.1):
    n = round(block_s * SR)
    return np.sqrt(np.mean(y[: len(y) // n * n].reshape(-1, n) ** 2, axis=1))


def chroma(y):
    n_fft = 8192
    power = power_frames(y, n_fft, 2048).mean(axis=0)
    f = np.fft.rfftfreq(n_fft, 1 / SR)
    keep = (f > 100) & (f < 1500)
    pitch_class = np.round(69 + 12 * np.log2(f[keep] / 440)).astype(int) % 12
    return np.bincount(pitch_class, np.sqrt(power[keep]), minlength=12)


@pytest.mark.parametrize(("make", "kind"), SOUNDS)
def test_a_sound_is_repeatable_levelled_and_depends_on_its_seed(make, kind):
    y = make(kind, 5.0, seed=1)
    assert y.shape == (5 * SR,)
    assert y.dtype == np.float32
    assert np.max(np.abs(y)) < 0.951
    assert np.sqrt(np.mean(y.astype(float) ** 2)) == pytest.approx(0.1, abs=0.01)
    np.testing.assert_array_equal(y, make(kind, 5.0, seed=1))
    assert abs(np.corrcoef(y, make(kind, 5.0, seed=2))[0, 1]) < 0.3


@pytest.mark.parametrize(("make", "kind"), SOUNDS)
def test_the_work_on_a_sound_grows_with_its_length_and_no_faster(make, kind):
    for duration_s in (5.0, 20.0):
        tracemalloc.start()
        y = make(kind, duration_s, seed=0)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 40 * y.nbytes


@pytest.mark.parametrize(("make", "kind"), SOUNDS)
@pytest.mark.parametrize(("duration_s", "sr"), [(0.3, SR), (2.0, 44_100), (2.0, 8_000)])
def test_any_length_and_rate_is_finite_and_audible(make, kind, duration_s, sr):
    y = make(kind, duration_s, seed=3, sr=sr)
    assert len(y) == round(duration_s * sr)
    assert np.all(np.isfinite(y))
    assert np.max(np.abs(y)) > 0.1


@pytest.mark.parametrize("seed", range(3))
def test_rain_is_broadband_steady_and_not_periodic(seed):
    y = ambience("rain", 10.0, seed=seed)
    assert flatness(y, 500, 8000) > 0.5
    assert periodicity(y) < 0.1
    assert np.std(loudness_curve(y)) < 0.4 * np.mean(loudness_curve(y))


@pytest.mark.parametrize("seed", range(3))
def test_fire_rumbles_and_crackles(seed):
    y = ambience("fire", 10.0, seed=seed)
    spectrum = power_frames(y)
    f = np.fft.rfftfreq(1024, 1 / SR)
    high = spectrum[:, f > 1500].sum(axis=1)
    assert spectrum[:, f < 300].sum() > high.sum() / 4
    # Sparse: a twentieth of the time has most of the high energy.
    assert np.sort(high)[-len(high) // 20 :].sum() > 0.5 * high.sum()
    assert np.median(high) < 0.15 * high.mean()


@pytest.mark.parametrize("seed", range(3))
def test_waves_come_and_go_every_few_seconds(seed):
    curve = loudness_curve(ambience("waves", 30.0, seed=seed), block_s=0.5)
    assert curve.max() > 3 * curve.min()
    above = curve > curve.mean()
    assert 4 <= np.count_nonzero(above[1:] & ~above[:-1]) <= 9


@pytest.mark.parametrize("seed", range(3))
def test_wind_is_low_and_its_resonance_wanders(seed):
    y = ambience("wind", 10.0, seed=seed)
    assert centroid_hz(y) < 1200
    f = np.fft.rfftfreq(1024, 1 / SR)
    band = (f > 280) & (f < 620)
    blocks = np.array_split(power_frames(y)[:, band], 20)
    peaks = [f[band][np.argmax(block.mean(axis=0))] for block in blocks]
    assert np.ptp(peaks) > 80


@pytest.mark.parametrize("genre", GENRES)
@pytest.mark.parametrize("seed", range(3))
def test_the_chroma_fits_the_written_chords_and_no_transposition_of_them(genre, seed):
    score = compose(genre, 12.0, seed=seed)
    y = music_piece(genre, 12.0, seed=seed)
    fit = np.zeros(12)
    for bar, chord in enumerate(score.chords[:-1]):
        start, stop = (round(at * score.bar_s * SR) for at in (bar, bar + 1))
        energy = chroma(y[start:stop])
        # Roots and fifths: rock leaves the third out.
        fit += [energy[(chord[0] + i) % 12] + energy[(chord[2] + i) % 12] for i in range(12)]
    assert np.argmax(fit) == 0
    assert fit[0] > 1.3 * fit.mean()


@pytest.mark.parametrize("genre", GENRES)
def test_the_melody_stays_in_key_and_in_reach(genre):
    for seed in range(10):
        score = compose(genre, 20.0, seed=seed)
        classes = {pitch % 12 for chord in score.chords for pitch in chord}
        classes |= {note.midi % 12 for note in score.melody}
        assert len(classes) <= 7
        assert all(100 < hertz(note.midi) < 2500 for note in score.melody)
        assert len({note.midi for note in score.melody}) >= 3


def test_seeds_give_many_different_pieces():
    for genre in GENRES:
        pieces = {compose(genre, 10.0, seed=seed) for seed in range(50)}
        assert len(pieces) == 50
        assert len({piece.chords for piece in pieces}) > 20


def test_electronic_drums_are_four_on_the_floor():
    score = compose("electronic", 10.0, seed=0)
    y = music_piece("electronic", 10.0, seed=0)
    low = power_frames(y, hop=220)[:, :4].sum(axis=1)
    beat = score.beat_s * SR / 220
    on = [low[round(i * beat) : round((i + 0.3) * beat)].max() for i in range(16)]
    off = [low[round((i + 0.6) * beat) : round((i + 0.9) * beat)].max() for i in range(16)]
    assert min(on) > 2 * max(off)


@pytest.mark.parametrize("genre", ["rock", "electronic"])
def test_the_snare_falls_on_the_second_and_fourth_beat(genre):
    score = compose(genre, 12.0, seed=0)
    power = power_frames(music_piece(genre, 12.0, seed=0), hop=220)
    snare = power[:, (np.arange(513) * SR / 1024 > 4800) & (np.arange(513) * SR / 1024 < 5800)]
    beat = score.beat_s * SR / 220
    hits = [snare[round(i * beat) : round((i + 0.4) * beat)].sum() for i in range(4, 20)]
    assert np.median(hits[1::2]) > 2 * np.median(hits[0::2])


def test_genres_differ_in_timbre_from_every_seed():
    """A nearest-centroid classifier on mean log spectra of other seeds recognises each piece."""

    def features(genre, seed):
        log_power = np.log(power_frames(music_piece(genre, 6.0, seed=seed)) + 1e-6)
        return np.concatenate([log_power.mean(axis=0)[::8], log_power.std(axis=0)[::8]])

    train = {g: np.mean([features(g, seed) for seed in range(4)], axis=0) for g in GENRES}
    for genre in GENRES:
        for seed in range(10, 14):
            heard = features(genre, seed)
            assert min(GENRES, key=lambda g: np.sum((train[g] - heard) ** 2)) == genre


@pytest.mark.parametrize("make", [music_piece, ambience])
def test_an_unknown_kind_or_no_duration_is_refused(make):
    with pytest.raises(ConfigError, match="'polka'"):
        make("polka", 1.0, seed=0)
    with pytest.raises(ConfigError, match="duration"):
        make({music_piece: GENRES, ambience: AMBIENCES}[make][0], 0.0, seed=0)
