"""An installation with two workers, for tests that do not damage it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nst_core.audio.writing import write_audio
from nst_core.synth.sounds import AMBIENCES, GENRES, ambience, music_piece
from tests.e2e.cluster import Cluster

SR = 22_050


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four ambiences and four pieces of music."""
    folder = tmp_path_factory.mktemp("sounds")
    for kind in AMBIENCES[:4]:
        write_audio(folder / f"{kind}.wav", ambience(kind, 3.0, seed=2), SR, format="wav")
    for genre in GENRES[:4]:
        write_audio(folder / f"{genre}.wav", music_piece(genre, 6.0, seed=2), SR, format="wav")
    return folder


@pytest.fixture(scope="session")
def pairs() -> Callable[[Path, int], Path]:
    """Function that writes a manifest of `n` pairs of the sounds in a folder."""

    def write(folder: Path, n_pairs: int) -> Path:
        chosen = [(a, g) for g in GENRES[:4] for a in AMBIENCES[:4]][:n_pairs]
        rows = [f"p{k:02d},{a}.wav,{g}.wav" for k, (a, g) in enumerate(chosen)]
        manifest = folder / "manifest.csv"
        manifest.write_text("\n".join(["id,ambience,music", *rows, ""]), "utf-8")
        return manifest

    return write


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A server on SQLite, one worker for catalogues and two for shards.

    Not for the whole session: idle, its processes would slow all later tests down.
    """
    installation = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        installation.begin()
        for name in ("gpu0", "gpu1"):
            installation.start_worker(name)
        yield installation
    finally:
        installation.stop()
