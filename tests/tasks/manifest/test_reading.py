import gc
import hashlib
import pickle
import tracemalloc
from pathlib import Path

import pytest

from nst_core.errors import ConfigError
from tasks.manifest.problems import ManifestError
from tasks.manifest.reading import check_input_roots, read_manifest
from tasks.manifest.row import ManifestRow
from tasks.storage import files
from tests.manifests import only_problem, read


def test_two_files_are_enough_for_a_row(root: Path) -> None:
    manifest = read(root, "ambience,music", "rain.wav,sub/waltz.flac")
    (row,) = manifest.rows
    assert row == ManifestRow(
        line=2,
        id="rain__waltz",
        ambience=str(root / "rain.wav"),
        music=str(root / "sub/waltz.flac"),
        output="rain__waltz.wav",
    )
    assert row.transfer_overrides == {}
    assert row.output_overrides == {}
    assert manifest.problems == ()
    assert manifest.sha256 == hashlib.sha256((root / "manifest.csv").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("path", "code", "rule"),
    [
        ("../wind.wav", "unsafe_path", "contains .., which may lead out of the folder"),
        ("sub/../../wind.wav", "unsafe_path", "contains .., which may lead out of the folder"),
        ("~/wind.wav", "unsafe_path", "starts with ~"),
        ("sub\\wind.wav", "unsafe_path", "contains a backslash"),
        ("wind\0.wav", "unsafe_path", "contains a control character"),
        ("http://127.0.0.1/wind.wav", "unsafe_path", "http:// is not supported"),
        ("https://host/wind.wav", "unsafe_path", "https:// is not supported"),
        ("gs://bucket/wind.wav", "unsafe_path", "gs:// is not supported"),
        ("/etc/passwd", "outside_root", "is outside the input roots"),
        ("file:///etc/passwd", "outside_root", "is outside the input roots"),
        ("file:///%2e%2e/etc/passwd", "outside_root", "is outside the input roots"),
        ("s3://bucket/wind.wav", "outside_root", "is outside the input roots"),
        ("link/passwd", "outside_root", "is outside the input roots"),
        ("", "bad_value", "must be given"),
    ],
)
def test_a_path_that_leads_out_of_the_input_root_is_refused(
    root: Path, path: str, code: str, rule: str
) -> None:
    (root / "link").symlink_to("/etc")
    found, text = only_problem(root, "ambience,music", f"{path},waltz.wav")
    assert found == code
    assert text.startswith('line 2, column "ambience"')
    assert rule in text


def test_a_cell_may_name_several_ambiences_with_weights(root: Path) -> None:
    manifest = read(root, "id,ambience,music", "a,rain.wav*2 + sub/wind.wav,waltz.wav",
                     "b,rain.wav*5,waltz.wav", "c,a*b.wav + rain.wav * 1e-1,waltz.wav")  # fmt: skip
    assert manifest.problems == ()
    first, second, third = (row.ambience for row in manifest.rows)
    assert first.places == (str(root / "rain.wav"), str(root / "sub/wind.wav"))
    assert first.weights == (2.0, 1.0)
    assert (second.places, second.weights) == ((str(root / "rain.wav"),), (1.0,))
    assert (third.places[0], third.weights) == (str(root / "a*b.wav"), (1.0, 0.1))
    assert str(third) == f"{root}/a*b.wav + {root}/rain.wav*0.1"


@pytest.mark.parametrize(
    ("cell", "code", "rule"),
    [
        ("rain.wav*0 + wind.wav", "bad_value", 'gives "rain.wav" the weight 0'),
        ("gale.wav*-1", "bad_value", "a weight must be above 0"),
        ("rain.wav + wind.wav*nan", "bad_value", "a weight must be above 0"),
        ("rain.wav*1e400 + wind.wav", "bad_value", "the weight inf"),
        ("rain.wav +  + wind.wav", "bad_value", "names no file"),
        (" + ".join(["rain.wav"] * 9), "bad_value", "names 9 ambiences; at most 8 are allowed"),
        ("rain.wav + ../wind.wav*2", "unsafe_path", 'names "../wind.wav", which contains ..'),
        ("rain.wav + /etc/passwd", "outside_root", 'names "/etc/passwd", which is outside'),
    ],
)
def test_a_bad_part_of_a_blend_is_named(root: Path, cell: str, code: str, rule: str) -> None:
    found, text = only_problem(root, "ambience,music", f"{cell},waltz.wav")
    assert found == code
    assert text.startswith('line 2, column "ambience"')
    assert rule in text


def test_a_row_takes_less_than_700_bytes(root: Path) -> None:
    lines = [f"r{n},amb/{n % 300}.wav,mus/{n % 700}.wav,0.5" for n in range(5_000)]
    data = "\n".join(["id,ambience,music,strength", *lines]).encode()
    # The table of interned names may double within any test, by megabytes: let it be done before.
    read_manifest(data, input_roots=[str(root)])
    tracemalloc.start()
    try:
        manifest = read_manifest(data, input_roots=[str(root)])
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held / len(manifest.rows) < 700


def test_absolute_and_s3_inputs_are_allowed_under_a_root_only(root: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    roots = [str(root), str(tmp_path / "more"), "s3://sounds/rain/"]
    manifest = read(
        root,
        "id,ambience,music",
        f"a,{tmp_path}/more/wind.wav,waltz.wav",
        "b,s3://sounds/rain/soft.wav,waltz.wav",
        "c,s3://sounds/rainy/soft.wav,waltz.wav",
        f"d,{tmp_path}/more2/wind.wav,waltz.wav",
        f"e,{(tmp_path / 'more/wind.wav').as_uri()},waltz.wav",
        input_roots=roots,
    )
    assert [row.id for row in manifest.rows] == ["a", "b", "e"]
    assert str(manifest.rows[1].ambience) == "s3://sounds/rain/soft.wav"
    assert str(manifest.rows[2].ambience) == str(tmp_path / "more/wind.wav")
    assert {problem.code for problem in manifest.problems} == {"outside_root"}


def test_every_problem_of_a_row_is_reported_with_its_line_in_the_file(root: Path) -> None:
    manifest = read(
        root,
        "ambience,music,note,strength",
        'rain.wav,waltz.wav,"a note',
        "over three",
        'lines",0.5',
        "",
        ",,,",
        "../rain.wav,/etc/hosts,,9",
        "rain.wav,waltz.wav,,0.5,more",
    )
    assert [row.line for row in manifest.rows] == [2]
    assert [(problem.line, problem.column) for problem in manifest.problems] == [
        (7, "ambience"),
        (7, "music"),
        (7, "strength"),
        (8, ""),
    ]
    assert "has 5 cells, but the header has 4" in str(manifest.problems[-1])
    given = {"ambience": "../rain.wav", "music": "/etc/hosts", "note": ""}
    assert [problem.given for problem in manifest.problems] == [given, given, given, {}]
    with pytest.raises(ManifestError, match="line 7") as caught:
        manifest.raise_problems()
    assert len(str(caught.value).splitlines()) == 4


@pytest.mark.parametrize(
    ("data", "code", "rule"),
    [
        ("ambience,strength\na,1\n", "missing_column", 'column "music": is required and missing'),
        ("ambience,music,strengthh\na,b,1\n", "unknown_column", 'did you mean "strength"?'),
        ("ambience,music,colour\na,b,1\n", "unknown_column", "your own must start with x_"),
        (",ambience,music\n0,a,b\n", "unknown_column", "number 1, without a name"),
        ("ambience,music,Music\na,b,c\n", "duplicate_column", "appears twice"),
        ("ambience|music\na|b\n", "wrong_separator", "bars; separate the columns by commas"),
        ("ambience;music,strength\na;b,1\n", "wrong_separator", "contains commas and semicolons"),
        ("sep=|\nambience|music\na|b\n", "wrong_separator", "names the separator"),
        ("ambience;strength\na;1\n", "missing_column", 'column "music": is required and missing'),
        ("", "empty", "has no rows"),
        ("ambience,music\n", "empty", "has no rows"),
        ('ambience,music\n"a,b\n', "not_csv", "close every quote"),
        ('ambience,music\na,b\nc,"d\n', "not_csv", "the manifest: line 3: .* close every quote"),
        ("ambience,music\na,é\n".encode("cp1252"), "wrong_encoding", "line 2 .* Windows-1252"),
        ("ambience,music\nabcdef,b\n".encode("utf-16-le"), "wrong_encoding", "no byte order mark"),
        ("ambience,music\na,b\n".encode("utf-16")[:-1], "wrong_encoding", "UTF-16, but damaged"),
        ("ambience,music\na,b\n".encode("utf-32"), "wrong_encoding", "UTF-32"),
        (b"PK\x03\x04 a workbook", "not_csv", "Excel"),
    ],
)
def test_a_table_that_cannot_be_trusted_is_refused_whole(
    data: str | bytes, code: str, rule: str
) -> None:
    content = data.encode() if isinstance(data, str) else data
    with pytest.raises(ManifestError, match=rule.replace("?", r"\?").replace("|", r"\|")) as caught:
        read_manifest(content, input_roots=["/data"])
    assert caught.value.code == code
    assert pickle.loads(pickle.dumps(caught.value)).problems == caught.value.problems


def test_a_byte_order_mark_and_windows_lines_are_harmless() -> None:
    data = "\ufeff Ambience , MUSIC \r\nrain.wav,chanson à l_été.wav\r\n".encode()
    (row,) = read_manifest(data, input_roots=["/data"]).rows
    assert (row.id, row.music) == ("rain__chanson_a_l_ete", "/data/chanson à l_été.wav")


def test_only_the_first_hundred_messages_are_spelled_out() -> None:
    lines = [f"i{number},../a,b" for number in range(130)]
    data = "\n".join(["id,ambience,music", *lines]).encode()
    manifest = read_manifest(data, input_roots=["/data"])
    assert len(manifest.problems) == 130
    with pytest.raises(ManifestError, match=r"and 30 more$") as caught:
        manifest.raise_problems()
    assert len(caught.value.problems) == 130


def test_a_manifest_in_a_bucket_may_use_inputs_next_to_it(bucket: str, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(
        "id,ambience,music\na,in/rain.wav,waltz.wav\nb,/etc/x,s3://o/y\n"
    )
    files.publish(tmp_path / "m.csv", f"{bucket}/batch/m.csv")
    manifest = read_manifest(f"{bucket}/batch/m.csv")
    (row,) = manifest.rows
    assert str(row.ambience) == f"{bucket}/batch/in/rain.wav"
    assert [problem.column for problem in manifest.problems] == ["ambience", "music"]


def test_a_missing_manifest_is_a_manifest_error(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"gone\.csv"):
        read_manifest(tmp_path / "gone.csv")


@pytest.mark.parametrize("name", ["gone", "file"])
def test_an_input_root_that_is_not_a_folder_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    roots = [str(tmp_path), "s3://sounds/rain", str(tmp_path / name)]
    with pytest.raises(
        ConfigError, match=f'input root "{tmp_path}/{name}" is not a folder'
    ) as caught:
        check_input_roots(roots)
    assert caught.value.code == "no_input_root"


def test_bytes_without_a_root_are_refused() -> None:
    with pytest.raises(ValueError, match="input root"):
        read_manifest(b"ambience,music\na,b\n")


def test_the_place_of_a_file_is_looked_up_once_however_many_rows_name_it(root: Path) -> None:
    lines = [f"r{number},amb/{number % 3}.wav,mus/{number % 7}.wav" for number in range(2_000)]
    rows = read(root, "id,ambience,music", *lines).rows
    assert len({id(row.ambience) for row in rows}) == 3
    assert len({id(row.music) for row in rows}) == 7
