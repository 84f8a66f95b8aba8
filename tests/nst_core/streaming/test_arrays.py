import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from nst_core.audio.loudness import to_mono
from nst_core.audio.mastering import write_master
from nst_core.audio.reading import read_long_audio
from nst_core.audio.writing import write_audio
from nst_core.config import MelConfig, OutputConfig, TransferConfig
from nst_core.metrics import scores as metrics
from nst_core.metrics.scores import evaluate
from nst_core.spectral.mel import n_frames
from nst_core.streaming import arrays as spool
from nst_core.streaming.arrays import Derived, DiskArray, Spool, blocks, derive
from nst_core.streaming.npz import open_arrays, save_arrays
from nst_core.streaming.windows import join_windows, window_bounds
from nst_core.synth.sounds import ambience, music_piece
from nst_core.transfer.analysis import analyse, load_analysis, load_recording, save_analysis
from nst_core.transfer.rendering import render
from nst_core.transfer.stylisation import Stylisation, load_stylisation, save_stylisation
from tests.blocks import use_blocks

SR = 22_050
MEL = MelConfig()
CONFIG = TransferConfig()


@pytest.fixture(autouse=True)
def small_memory(monkeypatch):
    """Arrays count as long from 64 KiB, and a block has a thousand elements."""
    use_blocks(monkeypatch, in_memory_bytes=1 << 16, elements=1000)


def signal(*shape, dtype="f4"):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


def spooled(y, scratch, cuts=(1, 5000, 5001)):
    whole = Spool(scratch)
    for part in np.split(y, [n for n in cuts if n < len(y)]):
        whole.add(part)
    return whole.whole()


@pytest.mark.parametrize("shape", [(20_000,), (20_000, 2), (600, 384)])
@pytest.mark.parametrize("dtype", ["f4", "f2"])
def test_a_long_array_is_on_disk_and_the_same_in_every_stretch(tmp_path, shape, dtype):
    y = signal(*shape, dtype=dtype)
    found = spooled(y, tmp_path, cuts=range(0, len(y), len(y) // 7))
    assert isinstance(found, DiskArray) == (y.nbytes > 1 << 16)
    assert found.shape == y.shape
    assert len(found) == len(y)
    for part in (slice(None), slice(17, 501), slice(-100, None), slice(9, 9), slice(5, len(y) * 2)):
        np.testing.assert_array_equal(found[part], y[part], strict=True)


def test_its_file_has_no_name_and_leaves_nothing_behind(tmp_path):
    found = spooled(signal(100_000), tmp_path)
    assert isinstance(found, DiskArray)
    assert list(tmp_path.iterdir()) == []


def test_a_short_array_or_one_without_a_folder_stays_in_memory(tmp_path):
    assert isinstance(spooled(signal(10_000), tmp_path), np.ndarray)
    assert isinstance(spooled(signal(100_000), None), np.ndarray)


def test_a_disk_array_is_read_forward_only(tmp_path):
    with pytest.raises(IndexError, match="step -1"):
        spooled(signal(100_000), tmp_path)[::-1]


def test_a_file_that_was_cut_is_not_an_array(tmp_path):
    save_arrays(tmp_path / "a.npz", y=signal(100_000))
    (y,) = open_arrays(tmp_path / "a.npz", "y")
    with (tmp_path / "a.npz").open("r+b") as file:
        file.truncate(200_000)
    with pytest.raises(EOFError, match="bytes before the end of its array"):
        y[:]


def test_a_full_disk_says_so(tmp_path, monkeypatch):
    def full(**_):
        return Path("/dev/full").open("wb", buffering=0)

    monkeypatch.setattr(spool, "TemporaryFile", full)
    whole = Spool(tmp_path)
    with pytest.raises(OSError, match="No space left"):
        whole.add(signal(100_000))


def test_a_derived_array_equals_the_array_computed_at_once(tmp_path):
    y = signal(20_000, 2)
    on_disk = derive(to_mono, spooled(y, tmp_path))
    assert isinstance(on_disk, Derived)
    assert on_disk.shape == (20_000,)
    np.testing.assert_array_equal(on_disk[100:300], to_mono(y)[100:300])
    np.testing.assert_array_equal(np.concatenate(list(blocks(on_disk))), to_mono(y))
    assert isinstance(derive(to_mono, y), np.ndarray)


def test_saved_arrays_are_numpys_and_come_back_long_or_short(tmp_path):
    y, u = signal(50_000, 2), signal(10)
    save_arrays(
        tmp_path / "a.npz", y=spooled(y, tmp_path), z=derive(np.negative, y), u=u, n=np.int64(7)
    )
    with np.load(tmp_path / "a.npz") as plain:
        np.testing.assert_array_equal(plain["y"], y, strict=True)
        np.testing.assert_array_equal(plain["z"], -y, strict=True)
    found_u, found_y, n = open_arrays(tmp_path / "a.npz", "u", "y", "n")
    (tmp_path / "a.npz").unlink()
    assert isinstance(found_y, DiskArray)
    np.testing.assert_array_equal(found_y[1000:2000], y[1000:2000], strict=True)
    np.testing.assert_array_equal(found_u, u, strict=True)
    assert int(n) == 7


@pytest.mark.parametrize("n", [10, 600])
def test_a_long_or_short_array_of_columns_comes_back_as_it_was(tmp_path, n):
    M = np.asfortranarray(signal(n, 384))
    save_arrays(tmp_path / "a.npz", M=M)
    (found,) = open_arrays(tmp_path / "a.npz", "M")
    np.testing.assert_array_equal(found[:], M, strict=True)


def test_a_long_array_of_another_layout_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", M=np.asfortranarray(signal(600, 384)))
    with pytest.raises(ValueError, match=r"a\.npz contains a M\.npy"):
        open_arrays(tmp_path / "a.npz", "M")


def test_the_same_arrays_give_the_same_bytes(tmp_path):
    y = signal(50_000)
    save_arrays(tmp_path / "a.npz", y=y)
    save_arrays(tmp_path / "b.npz", y=spooled(y, tmp_path))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.fixture
def short_stretches(monkeypatch):
    use_blocks(monkeypatch, carried_s=3.0, panned_samples=1 << 15, analysed_frames=256)
    monkeypatch.setattr(metrics, "_EXCERPT_S", 0.5)


def piece(path, duration_s):
    """Stereo at another rate, as a file."""
    left, right = (music_piece(genre, duration_s, seed=0, sr=32_000) for genre in ("folk", "rock"))
    write_audio(path, 0.3 * np.stack([left, right], axis=1), 32_000, format="wav")


def whole_way(folder, scratch):
    """Run everything from file to file except the neural loop; return the analysis and result."""
    read = read_long_audio(folder / "music.wav", sr=SR, scratch=scratch)
    made = analyse(read.y, MEL, name="music", scratch=scratch)
    save_analysis(folder / "a.npz", made)
    music, rain = load_recording(folder / "a.npz").y, ambience("rain", 2.0, seed=0)
    if scratch is None:
        music = made.y
    y = render(
        music,
        rain,
        some_gain(len(music), folder, scratch),
        MEL,
        CONFIG,
        strength=1.0,
        scratch=scratch,
    )
    output = OutputConfig(sample_rate=32_000, loudness_lufs=-20)
    reached = write_master(folder / "out.wav", y, SR, output, scratch=scratch)
    return reached, evaluate(y, music, rain, SR), y


def some_gain(n_samples, folder, scratch):
    """A stylisation of random gains in overlapping windows, from a file if there is a folder."""
    rng, n = np.random.default_rng(0), n_frames(n_samples, MEL)
    windows = (
        (first, rng.uniform(-6, 6, (last - first, MEL.n_mels)).astype("f2"))
        for first, last in window_bounds(n, 200, 20)
    )
    gain_db = join_windows(windows, n, 20, scratch=scratch)
    assert isinstance(gain_db, np.ndarray) == (scratch is None)
    style = Stylisation(gain_db, np.zeros(1), np.zeros(1), 0)
    if scratch is None:
        return style
    save_stylisation(folder / "s.npz", style)
    return load_stylisation(folder / "s.npz")


def test_a_piece_on_disk_is_rendered_as_one_in_memory(tmp_path, short_stretches):
    piece(tmp_path / "music.wav", 8.0)
    found = []
    for scratch in (None, tmp_path):
        reached, figures, y = whole_way(tmp_path, scratch)
        mel = load_analysis(tmp_path / "a.npz").M
        found.append((reached, figures, y[:], mel, (tmp_path / "out.wav").read_bytes()))
    assert not isinstance(y, np.ndarray), "the second was on disk"
    in_memory, on_disk = found
    assert in_memory[:2] == on_disk[:2]
    np.testing.assert_array_equal(in_memory[2], on_disk[2])
    np.testing.assert_array_equal(in_memory[3], on_disk[3])
    assert in_memory[4] == on_disk[4]


def test_memory_does_not_grow_with_the_length_of_a_piece(tmp_path, short_stretches):
    def peak(duration_s, scratch):
        piece(tmp_path / "music.wav", duration_s)
        whole_way(tmp_path, scratch)  # fills the caches, such as those of windows
        tracemalloc.start()
        try:
            whole_way(tmp_path, scratch)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    short, long, in_memory = peak(9.0, tmp_path), peak(27.0, tmp_path), peak(27.0, None)
    assert long < 1.05 * short
    assert in_memory > 1.3 * long
