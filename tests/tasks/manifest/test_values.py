from pathlib import Path

import pytest

from tasks.manifest.row import COLUMNS
from tests.manifests import only_problem, read


def test_every_column_reaches_the_row(root: Path) -> None:
    (row,) = read(
        root,
        "id,ambience,music,output,enabled,preset,strength,start,iterations,content_weight,"
        "style_weight,learning_rate,seed,start_s,duration_s,sample_rate,subtype,loudness_lufs,"
        "note,x_mood",
        "007,rain.wav,waltz.wav,a/b.flac,FALSE,mel,0.25,noise,50,2,4,0.5,7,1.5,10,44100,PCM_24,"
        '-14,"a, b",calm',
    ).rows
    assert row.id == "007"
    assert (row.output, row.format, row.enabled, row.preset) == ("a/b.flac", "flac", False, "mel")
    assert row.strength == 0.25
    assert row.transfer_overrides == {
        "start": "noise",
        "n_iterations": 50,
        "content_weight": 2.0,
        "style_weight": 4.0,
        "learning_rate": 0.5,
        "seed": 7,
    }
    assert row.output_overrides == {
        "format": "flac",
        "subtype": "PCM_24",
        "sample_rate": 44100,
        "loudness_lufs": -14.0,
    }
    assert (row.start_s, row.duration_s) == (1.5, 10.0)
    assert row.extra == {"note": "a, b", "x_mood": "calm"}


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("strength", "1.7", "is outside 0..1"),
        ("strength", "-0.1", "is outside 0..1"),
        ("strength", "nan", "is outside 0..1"),
        (
            "strength",
            "much",
            'must be a number from 0 to 1, or a curve such as "0:0.2;30:0.8" (seconds:strength)',
        ),
        ("iterations", "2.5", "must be a whole number"),
        ("iterations", "100000", "is outside 0..10000"),
        ("subtype", "VORBIS", "is not one of PCM_24, PCM_16, PCM_32, FLOAT"),
        ("learning_rate", "0", "is outside 1e-06..10"),
        ("seed", "-1", "is outside 0..4.29497e+09"),
        ("start", "silence", "must be 'carrier', 'music', 'ambience', 'noise' or 'mix'"),
        ("preset", "loud", "is not one of real, closed, classifier, mel, original"),
        ("start_s", "-1", "must be 0 or more"),
        ("duration_s", "0.1", "must be 0.25 or more"),
        ("sample_rate", "1", "is outside 8000..192000"),
        ("format", "aac", "must be 'wav', 'flac', 'mp3', 'ogg' or 'opus'"),
        ("loudness_lufs", "3", "is outside -70..0"),
        ("enabled", "maybe", "must be true or false"),
    ],
)
def test_a_value_outside_its_range_is_named(root: Path, column: str, value: str, rule: str) -> None:
    code, text = only_problem(root, f"ambience,music,{column}", f"wind.wav,waltz.wav,{value}")
    assert code == "bad_value"
    assert text == f'line 2, column "{column}", value "{value}": {rule}'


@pytest.mark.parametrize("cell", ["9" * 5000, "1e999", "0x1", "-", "nan", "1,5", "\u0663"])
def test_every_cell_that_pydantic_refuses_gets_our_message(root: Path, cell: str) -> None:
    columns = [name for name in COLUMNS if name not in {"id", "ambience", "music", "output"}]
    cells = ",".join(['"' + cell + '"'] * len(columns))
    header = ",".join(["ambience", "music", *columns])
    problems = read(root, header, f"wind.wav,waltz.wav,{cells}").problems
    assert {"strength", "seed", "format", "start_s"} <= {problem.column for problem in problems}
    for problem in problems:
        assert problem.rule.startswith(("must be ", "is outside ", "is not one of ")), problem


def test_two_weights_of_zero_are_refused_together(root: Path) -> None:
    header = "ambience,music,content_weight,style_weight"
    _, text = only_problem(root, header, "wind.wav,waltz.wav,0,0")
    assert text.startswith("line 2: content_weight and style_weight are both 0")
