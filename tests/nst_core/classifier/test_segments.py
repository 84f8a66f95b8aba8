import numpy as np
import pytest

from nst_core.classifier.segments import cut_segments, segment_bounds, segment_samples
from nst_core.config import SegmentConfig
from nst_core.errors import SignalError
from nst_core.streaming.windows import in_stretches, join_windows, stretches, window_bounds

SR = 22_050


def signal(n, seed=0):
    return np.random.default_rng(seed).standard_normal(n).astype("f4")


def test_three_seconds_are_66150_samples():
    assert segment_samples(SR, SegmentConfig()) == 66_150


def test_thirty_seconds_give_ten_segments_that_are_the_track():
    y = signal(30 * SR)
    segments = cut_segments(y, SR, SegmentConfig())
    assert segments.shape == (10, 66_150)
    assert segments.dtype == np.float32
    np.testing.assert_array_equal(segments.ravel(), y)


def test_overlapping_segments_repeat_the_requested_share():
    segments = cut_segments(signal(30 * SR), SR, SegmentConfig(overlap=0.5))
    assert len(segments) == 19
    np.testing.assert_array_equal(segments[0, 33_075:], segments[1, :33_075])


@pytest.mark.parametrize(("seconds", "n"), [(7.6, 3), (7.4, 2), (1.6, 1), (1.4, 0), (3.0, 1)])
def test_the_last_segment_is_kept_from_half_full(seconds, n):
    y = signal(round(seconds * SR))
    segments = cut_segments(y, SR, SegmentConfig())
    assert segments.shape == (n, 66_150)
    kept = segments.ravel()[: len(y)]
    np.testing.assert_array_equal(kept, y[: len(kept)])
    assert not segments.ravel()[len(y) :].any()


def test_no_segment_only_repeats_what_another_has():
    bounds = segment_bounds(100, 10, SegmentConfig(duration_s=4.0, overlap=0.75, min_fill=0.0))
    assert bounds[-1] == (60, 100)
    assert len({stop for _, stop in bounds}) == len(bounds)


def test_an_empty_track_has_no_segments():
    assert segment_bounds(0, SR, SegmentConfig(min_fill=0.0)) == []


def test_stereo_is_not_cut_silently():
    with pytest.raises(SignalError, match="mono"):
        cut_segments(np.zeros((SR, 2), "f4"), SR, SegmentConfig())


@pytest.mark.parametrize("n", [1, 999, 1000, 1001, 1899, 1901, 12_345])
@pytest.mark.parametrize("overlap", [0, 1, 100, 499])
def test_joining_the_windows_of_a_signal_gives_the_signal(n, overlap):
    y = signal(n)
    bounds = window_bounds(n, 1000, overlap)
    joined = join_windows(((a, y[a:b]) for a, b in bounds), n, overlap)
    np.testing.assert_allclose(joined, y, atol=1e-6)
    assert joined.dtype == np.float32


def test_stereo_windows_can_be_joined():
    y = signal(5000).reshape(2500, 2)
    bounds = window_bounds(2500, 1000, 50)
    joined = join_windows(((a, y[a:b]) for a, b in bounds), 2500, 50)
    np.testing.assert_allclose(joined, y, atol=1e-6)


@pytest.mark.parametrize("n", [1001, 5000, 99_999])
def test_windows_are_nearly_equal_and_never_longer_than_the_maximum(n):
    lengths = [b - a for a, b in window_bounds(n, 1000, 100)]
    assert max(lengths) <= 1000
    assert max(lengths) - min(lengths) < len(lengths)
    assert min(lengths) > 500


def test_a_signal_that_fits_is_one_window():
    assert window_bounds(1000, 1000, 100) == [(0, 1000)]


def test_the_join_moves_linearly_from_one_window_to_the_next():
    ones = np.ones(100, "f4")
    joined = join_windows([(0, ones), (60, 3 * ones)], 160, 40)
    np.testing.assert_allclose(np.diff(joined[60:100]), 2 / 40, rtol=1e-4)
    assert np.mean(joined[60:100]) == pytest.approx(2.0, abs=1e-5)
    assert np.all(joined[:60] == 1)
    assert np.all(joined[100:] == 3)


@pytest.mark.parametrize(
    "windows",
    [
        [(0, 100), (80, 100)],
        [(10, 100)],
        [(0, 100)],
        [(0, 100), (60, 200)],
        [(0, 100), (60, 30)],
        [],
    ],
)
def test_windows_that_do_not_continue_are_refused(windows):
    with pytest.raises(SignalError):
        join_windows([(start, np.ones(n, "f4")) for start, n in windows], 160, 40)


@pytest.mark.parametrize(("n", "window", "overlap"), [(0, 100, 10), (500, 100, 50), (500, 100, -1)])
def test_an_impossible_cover_is_refused(n, window, overlap):
    with pytest.raises(SignalError):
        window_bounds(n, window, overlap)


@pytest.mark.parametrize("n", [1, 99, 100, 101, 355, 1000, 1003])
def test_stretches_keep_every_sample_once_and_begin_on_the_grid(n):
    parts = stretches(n, 100, 21, 8)
    kept = np.concatenate([np.arange(n)[part.core] for part in parts])
    np.testing.assert_array_equal(kept, np.arange(n))
    for part in parts:
        assert part.core.start % 8 == part.around.start % 8 == 0
        assert part.core.stop - part.core.start <= 104
        assert part.around.start == 0 or part.core.start - part.around.start >= 21
        assert part.around.stop == n or part.around.stop - part.core.stop >= 21


def test_a_filter_in_stretches_is_the_filter_of_the_whole_if_the_halo_is_long_enough():
    y, kernel = np.random.default_rng(0).standard_normal(1000), np.hanning(41)

    def in_parts(halo):
        parts = stretches(len(y), 100, halo, 8)
        return in_stretches(lambda part: np.convolve(y[part.around], kernel, "same"), parts)

    whole = np.convolve(y, kernel, "same")
    np.testing.assert_allclose(in_parts(20), whole, atol=1e-12)
    assert np.abs(in_parts(0) - whole).max() > 0.1


def test_the_frames_of_the_cores_are_those_of_the_track_each_once():
    n, hop = 1003, 8
    parts = stretches(n, 100, 21, hop)
    found = [part.around.start // hop + np.arange(200)[part.frames(hop)] for part in parts]
    np.testing.assert_array_equal(np.concatenate(found), np.arange(1 + n // hop))


def test_windows_join_in_their_own_type():
    halves = np.ones((60, 2), np.float16)
    assert join_windows([(0, halves), (40, halves)], 100, 20).dtype == np.float16
