"""Earlier pairs are kept on this machine, and tell what the next ones take."""

from pathlib import Path

import pytest

from nst_core.audio.headers import Header
from nst_core.config import OutputConfig
from tasks.jobs.from_rows import RenderDefaults
from tasks.manifest.reading import read_manifest
from tasks.report import rates
from tasks.report.forecast import Forecast, forecast
from tasks.report.rates import Rate, recall, remember

FAST = Rate(preset="closed", iterations=0, music_s=10.0, seconds=5.0, store_bytes=1_000_000)
DEFAULTS = RenderDefaults(
    preset="closed", strength=1.0, output=OutputConfig(), model_path="", model_sha256="",
    output_uri="/out",
)  # fmt: skip


def test_pairs_are_recalled_in_order_and_the_oldest_are_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state" / "amnst" / "rates.jsonl"
    assert recall(path) == []
    remember([FAST, Rate(**{**vars(FAST), "seconds": 7.0})], path)
    assert [rate.seconds for rate in recall(path)] == [5.0, 7.0]
    monkeypatch.setattr(rates, "_MOST_KEPT", 3)
    for number in range(20):
        remember([Rate(**{**vars(FAST), "seconds": float(number)})], path)
    assert [rate.seconds for rate in recall(path)] == [17.0, 18.0, 19.0]
    assert len(path.read_text("utf-8").splitlines()) <= 6


def test_damage_to_the_file_or_its_folder_only_costs_the_estimate(tmp_path: Path) -> None:
    path = tmp_path / "rates.jsonl"
    path.write_bytes(b'{"preset": 1}\n\xff\xfe broken\n[]\n')
    remember([FAST], path)
    assert recall(path) == [FAST]
    remember([FAST], path / "below a file")
    assert recall(path / "below a file") == []


def _forecast(known: list[Rate], done: set[int] | None, *lines: str) -> Forecast:
    text = "\n".join(["id,ambience,music,preset,start_s,duration_s", *lines]).encode()
    rows = read_manifest(text, input_roots=["/in"]).rows
    headers = {"/in/t.wav": Header("/in/t.wav", 1, 44_100, 2, 30 * 44_100, is_exact=True)}
    return forecast(rows, done, headers, DEFAULTS, known)


def test_the_forecast_follows_the_length_of_the_music_that_is_left() -> None:
    lines = ("a,r.wav,t.wav", "b,r.wav,t.wav,,10", "c,r.wav,t.wav,,,5", "d,r.wav,t.wav")
    found = _forecast([FAST, FAST], {5}, *lines)
    assert (found.n_rows, found.n_done, found.n_unknown, found.n_earlier) == (4, 1, 0, 2)
    assert found.seconds == pytest.approx((30 + 20 + 5) * 0.5)
    assert found.store_bytes == 55 * 100_000
    assert found.output_bytes == 55 * 2 * 3 * 44_100
    assert found.in_words() == (
        "4 rows: 3 to render, 1 already done; about 28 s on this machine (from 2 earlier pairs); "
        "about 15 MB of output and 6 MB in the store"
    )


def test_rows_that_no_earlier_pair_is_like_are_left_out_and_counted() -> None:
    lines = ("a,r.wav,t.wav", "b,r.wav,t.wav,real", "c,r.wav,unknown.wav")
    found = _forecast([FAST], set(), *lines)
    assert (found.seconds, found.n_unknown) == (15.0, 2)
    assert "(from 1 earlier pair, without 2 rows)" in found.in_words()
    assert "no pair has been rendered on this machine" in _forecast([], None, lines[0]).in_words()
    assert _forecast([], {2}, lines[0]).in_words() == "1 row: 0 to render, 1 already done"
