"""Music, an ambience, and a transfer of few steps by a small classifier."""

import dataclasses

import pytest

from nst_core.config import DEFAULT_STRENGTH
from nst_core.synth.sounds import ambience, music_piece
from nst_core.transfer.end_to_end import transfer_arrays
from tests.networks import FEW_STEPS

SR = 22_050


@pytest.fixture(scope="module")
def music():
    return music_piece("folk", 3.0, seed=0)


@pytest.fixture(scope="module")
def rain():
    return ambience("rain", 8.0, seed=0)


@pytest.fixture(scope="module")
def transfer(classifier):
    def run(
        music,
        ambience,
        config=FEW_STEPS,
        *,
        sr=SR,
        n_threads=1,
        strength=DEFAULT_STRENGTH,
        **changes,
    ):
        return transfer_arrays(
            music, ambience, sr=sr, config=dataclasses.replace(config, **changes),
            strength=strength, classifier=classifier, n_threads=n_threads,
        )  # fmt: skip

    return run
