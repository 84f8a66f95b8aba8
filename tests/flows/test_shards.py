"""Cutting a catalogue into shards."""

import itertools
import random

import pytest

from flows.requests import RenderRequest
from flows.shards import Shard, in_shard_order, shard_bounds
from tasks.manifest.row import ManifestRow


def rows(pairs):
    return [
        ManifestRow(line=line, id=f"r{line}", ambience=ambience, music=music, output=f"{line}.wav")
        for line, (ambience, music) in enumerate(pairs, start=2)
    ]


def changes(values):
    return sum(a != b for a, b in itertools.pairwise(values))


def test_rows_that_share_an_input_sit_together():
    pairs = [(a, m) for a in "abcd" for m in "wxyz"] * 2
    random.Random(1).shuffle(pairs)
    ordered = in_shard_order(rows(pairs))
    assert changes([row.music for row in ordered]) == 3
    assert changes([(row.music, row.ambience) for row in ordered]) == 15


def test_the_order_keeps_every_row_and_follows_from_the_manifest_alone():
    given = rows([(a, m) for a in "ba" for m in "zyx"])
    ordered = in_shard_order(given)
    assert sorted(row.line for row in ordered) == [row.line for row in given]
    assert ordered == in_shard_order(list(given))
    assert [row.music for row in ordered] == list("zzyyxx"), "as the manifest names them first"


@pytest.mark.parametrize("n_rows", [1, 24, 25, 26, 99, 800, 3_000, 100_000])
def test_shards_cover_every_row_once(n_rows):
    bounds = shard_bounds(n_rows, size=None, max_in_flight=16)
    assert [row for first, stop in bounds for row in range(first, stop)] == list(range(n_rows))
    assert max(stop - first for first, stop in bounds) <= 50


def test_shards_are_sized_by_the_catalogue_between_25_and_50():
    def size(n_rows):
        return shard_bounds(n_rows, size=None, max_in_flight=16)[0][1]

    assert [size(10), size(500), size(1_280), size(100_000)] == [10, 25, 40, 50]


def test_a_requested_size_is_kept():
    assert shard_bounds(12, size=5, max_in_flight=1) == [(0, 5), (5, 10), (10, 12)]


def test_a_shard_is_named_by_its_number_and_its_rows():
    def shard(first, stop, number=3):
        request = RenderRequest(manifest="/in/night.csv", output="/out")
        return Shard(
            request=request, rows_sha256="", model_sha256="", catalog_run_id="run",
            number=number, n_shards=12, first=first, stop=stop,
        )  # fmt: skip

    assert shard(100, 150).title == "night 3 of 12 (rows 101-150)"
    assert shard(100, 101).title == "night 3 of 12 (row 101)"
    assert shard(100, 150).digest == shard(100, 150, number=4).digest
    assert shard(100, 150).digest != shard(100, 151).digest


def test_no_rows_make_no_shard():
    assert shard_bounds(0, size=None, max_in_flight=16) == []
