"""The twelve ready-made pairs."""

from collections import Counter

import numpy as np

from nst_core.synth.listening_pairs import PAIRS
from nst_core.synth.sounds import AMBIENCES, GENRES


def test_every_ambience_and_every_genre_occurs_three_times_and_no_pair_twice():
    assert len({(pair.ambience, pair.genre) for pair in PAIRS}) == 12
    assert Counter(pair.ambience for pair in PAIRS) == dict.fromkeys(AMBIENCES, 3)
    assert Counter(pair.genre for pair in PAIRS) == dict.fromkeys(GENRES, 3)


def test_two_pairs_of_one_genre_have_different_tunes():
    tunes = [pair.make(2.0)[0] for pair in PAIRS if pair.genre == "folk"]
    assert abs(np.corrcoef(tunes[0], tunes[1])[0, 1]) < 0.5
