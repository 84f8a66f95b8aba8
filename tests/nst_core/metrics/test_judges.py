"""The benchmark's judges and its pairs."""

from collections import Counter

import numpy as np
import pytest

from nst_core.audio.loudness import set_rms
from nst_core.synth.sounds import ambience, music_piece
from tests.benchmarks import notes, sound_effects
from tests.benchmarks.pairs import FULL_SR, SR, Pair, load_pairs, other_pairs
from tests.sounds import noise, tone

LISTED = [(f"a{i % 7}", f"m{i % 9}") for i in range(20)]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_other_pairs_are_the_same_recordings_in_pairs_that_are_not_listed(seed):
    drawn = other_pairs(LISTED, seed)
    assert drawn == other_pairs(LISTED, seed)
    assert not set(drawn) & set(LISTED)
    assert len(set(drawn)) == len(LISTED)
    for side in (0, 1):
        assert Counter(pair[side] for pair in drawn) == Counter(pair[side] for pair in LISTED)


def test_pairs_that_leave_no_other_are_refused():
    with pytest.raises(ValueError, match="seed 1"):
        other_pairs([("rain", "guitar")], 1)


def test_a_pair_is_judged_at_the_judged_rate():
    y = noise(level=0.1)
    pair = Pair("rain x guitar", y, y, y, FULL_SR)
    assert pair.ambience_name == "rain"
    assert len(pair.judged.music) == pytest.approx(len(y) * SR / FULL_SR, abs=1)
    assert pair.judged.sr == SR


def test_the_pairs_are_in_full_band(shared_data):
    pair, *more = load_pairs(shared_data, "tune", n_pairs=2)
    assert len(more) == 1
    assert pair.sr == FULL_SR
    assert len(pair.music) == 10 * FULL_SR


def test_the_judge_of_sound_effects_puts_mixes_in_order():
    if absent := sound_effects.missing():
        pytest.skip(f"optional: {', '.join(absent)} not installed (tests/benchmarks/README.md)")
    music = set_rms(music_piece("folk", 5.0, seed=0))
    rain = set_rms(ambience("rain", 10.0, seed=0))
    used, kept = np.array_split(rain, 2)
    mixes = [set_rms(np.sqrt(1 - s) * music + np.sqrt(s) * used) for s in (0.0, 0.5, 1.0)]
    found = [sound_effects.likeness(y, music, used, kept, SR) for y in mixes]
    assert found[0] == pytest.approx(0, abs=0.01)
    assert found[2] == pytest.approx(1, abs=0.01)
    assert 0.05 < found[1] < 0.999


def test_the_judge_of_notes_hears_which_notes_are_played():
    if absent := notes.missing():
        pytest.skip(f"optional: {', '.join(absent)} not installed (tests/benchmarks/README.md)")
    tune = np.concatenate(
        [tone(hz, 0.5) * np.exp(-np.arange(11_025) / 4000) for hz in (262, 330, 392)]
    )
    other = np.concatenate(
        [tone(hz, 0.5) * np.exp(-np.arange(11_025) / 4000) for hz in (277, 370, 466)]
    )
    assert notes.note_f1(tune, tune, SR) == 1
    assert notes.note_f1(other, tune, SR) < 0.4
