"""What happens to stored and published files between two runs heals within the second run."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

FLIP, CUT, EMPTY, SWAP, REPLACE = "flip", "cut", "empty", "swap", "replace"


def damaged(before: bytes, how: str, other: bytes, seed: int = 1) -> bytes:
    """Return a file's changed content; flipped, swapped and replaced bytes keep its size."""
    data = bytearray(before)
    if how == FLIP:
        place = random.Random(seed).randrange(len(data))
        data[place] ^= 1 << random.Random(seed).randrange(8)
    elif how == CUT:
        del data[len(data) // 2 :]
    elif how == EMPTY:
        data.clear()
    elif how == SWAP:
        data = bytearray(other[: len(data)].ljust(len(data), b"\0"))
    else:
        data = bytearray(random.Random(seed).randbytes(len(data)))
    return bytes(data)


def outputs(catalogue) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in catalogue.output.glob("*.wav")}


def claims(catalogue) -> dict[str, dict]:
    return {path.name: json.loads(path.read_bytes()) for path in provenance(catalogue)}


def artefacts(catalogue) -> list[Path]:
    return sorted(catalogue.objects())


def records(catalogue) -> list[Path]:
    return sorted(Path(catalogue.store.root_uri, "results").rglob("*.json"))


def published(catalogue) -> list[Path]:
    return sorted(catalogue.output.glob("*.wav"))


def provenance(catalogue) -> list[Path]:
    return sorted(catalogue.output.glob("*.wav.json"))


@pytest.mark.parametrize(
    "how",
    [FLIP, CUT, *(pytest.param(each, marks=pytest.mark.slow) for each in (EMPTY, SWAP, REPLACE))],
)
@pytest.mark.parametrize("which", [artefacts, records, published, provenance])
def test_every_damage_heals_in_the_same_run(
    rendered, which: Callable[[object], list[Path]], how: str
) -> None:
    before, told = outputs(rendered), rendered.report()
    if which is artefacts:  # they are only read if something must be made again
        shutil.rmtree(rendered.output)
    files = which(rendered)
    for number, path in enumerate(files):
        other = files[number - 1].read_bytes()
        path.write_bytes(damaged(path.read_bytes(), how, other, seed=number))
    state = rendered.render()
    assert state.is_completed(), state.message
    assert outputs(rendered) == before
    assert {each["sha256"] for each in claims(rendered).values()} == set(told["sha256"])
    for name in ("sha256", "content", "texture", "loudness_lufs"):
        assert list(rendered.report()[name]) == list(told[name]), name
    again = rendered.render()
    assert again.is_completed()
    assert set(rendered.statuses().values()) == {"cached"}
    assert rendered.work == []


def test_a_figure_in_a_record_that_changed_is_not_believed(rendered) -> None:
    told = rendered.report()
    for path in rendered.records("audio"):
        path.write_bytes(path.read_bytes().replace(b'"content": 0.', b'"content": 1.'))
    assert rendered.render().is_completed()
    assert list(rendered.report()["content"]) == list(told["content"])


def test_a_fact_in_a_provenance_that_changed_is_corrected(rendered) -> None:
    for path in provenance(rendered):
        path.write_bytes(path.read_bytes().replace(b'"strength": 0.5', b'"strength": 0.9'))
    assert rendered.render().is_completed()
    assert {each["transfer"]["strength"] for each in claims(rendered).values()} == {0.5}
