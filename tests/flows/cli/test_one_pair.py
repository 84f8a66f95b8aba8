"""`amnst transfer`: one pair, without a manifest."""

import json
from pathlib import Path

import pytest

from tests.bad_manifests import in_one_line


def test_one_pair_needs_no_manifest(amnst, one_pair, tmp_path):
    output = tmp_path / "out.flac"
    code, out, err = amnst("transfer", *one_pair, "-o", output, "--strength", "1")
    assert (code, out) == (0, f"{output}\n")
    assert "the tune is" in err
    assert output.read_bytes().startswith(b"fLaC")
    code, out, _ = amnst("transfer", *one_pair, "-o", output, "--json", "--duration", "1")
    told = json.loads(out)
    assert (told["output"], told["duration_s"], told["strength"]) == (str(output), 1.0, 0.7)


def test_a_doubtful_pair_names_the_command_that_compares(amnst, one_pair, tmp_path):
    ambience, music, *options = one_pair
    code, _, err = amnst("transfer", ambience, music, *options, "-o", tmp_path / "well.wav")
    assert code == 0
    assert "amnst audition" not in err
    code, _, err = amnst("transfer", music, music, *options, "-o", tmp_path / "alike.wav")
    assert code == 0
    assert f"amnst audition {music} {music}\n" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("-o", "out.mp9"), "must end in .wav, .flac, .mp3, .ogg, .opus"),
        (("-o", "out.wav", "--strength", "7"), "strength = 7.0 is outside 0..1"),
        (("-o", "out.wav", "--preset", "polka"), "is not one of"),
    ],
)
def test_a_wrong_option_of_one_pair_is_refused_at_once(amnst, one_pair, options, message):
    code, out, err = amnst("transfer", *one_pair[:2], *options)
    assert (code, out) == (2, "")
    assert message in in_one_line(err)
    assert not Path("out.wav").exists()


def test_a_full_disk_under_the_output_is_refused_and_the_same_command_goes_on(
    amnst, one_pair, small_disk
):
    output, filler = small_disk / "out.wav", small_disk / "filler"
    filler.write_bytes(bytes((2 << 20) - 8192))
    code, _, err = amnst("transfer", *one_pair, "-o", output)
    assert code == 3
    assert f"{output}: cannot write: No space left on device [storage]" in in_one_line(err)
    assert list(small_disk.iterdir()) == [filler]
    filler.unlink()
    assert amnst("transfer", *one_pair, "-o", output)[0] == 0
    assert list(small_disk.iterdir()) == [output]
