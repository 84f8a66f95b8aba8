from pathlib import Path

import pytest

from tests.manifests import only_problem, read


def test_an_id_is_unique_whatever_the_case(root: Path) -> None:
    manifest = read(
        root, "id,ambience,music", "Take1,a.wav,b.wav", "take2,a.wav,b.wav", "TAKE1,a.wav,b.wav"
    )
    assert [row.id for row in manifest.rows] == ["Take1", "take2"]
    (problem,) = manifest.problems
    assert (problem.line, problem.id, problem.code) == (4, "TAKE1", "duplicate_id")
    assert 'line 4, column "id", value "TAKE1": is already used in line 2' in str(problem)


def test_the_same_pair_twice_needs_ids(root: Path) -> None:
    manifest = read(root, "ambience,music,strength", "a.wav,b.wav,0.2", "a.wav,b.wav,0.8")
    assert [problem.code for problem in manifest.problems] == ["duplicate_id"]


@pytest.mark.parametrize("name", ["-a", "a b", "a/b", "é", "x" * 101, "../a"])
def test_an_id_that_cannot_name_a_file_is_refused(root: Path, name: str) -> None:
    code, text = only_problem(root, "ambience,music,id", f"wind.wav,waltz.wav,{name}")
    assert code == "bad_id"
    assert 'column "id"' in text


@pytest.mark.parametrize(
    "output", ["/tmp/a.wav", "../a.wav", "a\\b.wav", "~a.wav", ".a.wav", "a//b.wav", "a.aac", "a"]
)
def test_an_output_must_be_a_relative_sound_file(root: Path, output: str) -> None:
    code, text = only_problem(root, "ambience,music,output", f"wind.wav,waltz.wav,{output}")
    assert code == "bad_output"
    assert f'column "output", value "{output}"' in text


def test_two_rows_never_write_one_output(root: Path) -> None:
    manifest = read(
        root,
        "id,ambience,music,output",
        "a,rain.wav,waltz.wav,",
        "b,rain.wav,waltz.wav,A.wav",
        "c,rain.wav,waltz.wav,a.flac",
    )
    assert [row.id for row in manifest.rows] == ["a", "c"]
    assert [(problem.line, problem.code) for problem in manifest.problems] == [
        (3, "duplicate_output")
    ]


def test_output_and_format_must_agree(root: Path) -> None:
    header = "ambience,music,output,format"
    code, text = only_problem(root, header, "wind.wav,waltz.wav,a.flac,wav")
    assert code == "bad_output"
    assert "does not match an output that ends in .flac" in text


def test_the_default_format_names_the_outputs(root: Path) -> None:
    manifest = read(root, "ambience,music,format", "a.wav,b.wav,", "c.wav,b.wav,ogg",
                     default_format="flac")  # fmt: skip
    assert [row.output for row in manifest.rows] == ["a__b.flac", "c__b.ogg"]
