"""Readers of foreign bytes refuse what they do not understand, with a reason and at once.

`make soak` tries a hundred thousand inputs per reader, by coverage. Here are the seeds, what was a
finding once (tests/soak/corpus), and some hundred changes of each.
"""

import random

import pytest

from tests.soak.targets import TARGETS, seeds, took


def _changed(data: bytes, chance: random.Random) -> bytes:
    made = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(made) + 1)
        kind = chance.random()
        if kind < 0.5 and at < len(made):
            made[at] ^= 1 << chance.randrange(8)
        elif kind < 0.7:
            made[at : at + chance.randint(0, 8)] = chance.randbytes(chance.randint(0, 8))
        elif kind < 0.85:
            del made[at:]
        else:
            made[at:at] = made[: chance.randint(0, 600)]
    return bytes(made)


@pytest.mark.parametrize("name", TARGETS)
def test_a_good_input_is_read(name: str) -> None:
    assert took(name, seeds(name)[0])


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_ends_in_a_traceback_a_hang_or_a_full_memory(name: str) -> None:
    chance = random.Random(7)
    for seed in seeds(name):
        took(name, seed)
        for _ in range(60):
            took(name, _changed(seed, chance))
