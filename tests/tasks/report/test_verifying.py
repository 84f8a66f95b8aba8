"""Verification names every output that is not as it was published, and only those."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.jobs.pair import PairJob
from tasks.manifest.row import ManifestRow
from tasks.report.results import success
from tasks.report.tables import write_report
from tasks.report.verifying import verify_outputs
from tasks.running.workspace import Workspace
from tasks.storage.errors import StorageError
from tasks.storage.files import publish
from tasks.storage.seal import sealed, unsealed
from tests.command_line import main


@pytest.fixture
def folder(rendered: Workspace, pair: PairJob) -> Path:
    """An output folder with one output and its report."""
    row = ManifestRow(line=2, id="rain-tune", ambience="r", music="t", output="rain-tune.wav")
    output = Path(pair.output_uri).parent
    from dataclasses import replace

    from tasks.upload import upload_pair

    upload_pair(pair, rendered)
    result = success(row, pair, rendered, "ok")
    write_report([replace(result, output=pair.output_uri)], rendered, str(output))
    return output


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _claim_other(path: Path) -> None:
    """Change the sound and seal a provenance that fits it."""
    _flip(path)
    from tasks.storage.files import sha256_file

    facts = unsealed(json.loads(Path(f"{path}.json").read_text()))
    Path(f"{path}.json").write_text(json.dumps(sealed({**facts, "sha256": sha256_file(path)})))


def _without_seal(path: Path) -> None:
    facts = unsealed(json.loads(Path(f"{path}.json").read_text()))
    Path(f"{path}.json").write_text(json.dumps(facts))


CHANGES: dict[str, Callable[[Path], object]] = {
    "changed": _flip,
    "missing": Path.unlink,
    "no_provenance": lambda path: Path(f"{path}.json").unlink(),
    "changed_provenance": lambda path: _flip(Path(f"{path}.json")),
    "unsealed_provenance": _without_seal,
    "other_than_reported": _claim_other,
}


def test_an_untouched_folder_is_as_published(folder: Path, workspace: Workspace) -> None:
    (found,) = verify_outputs(str(folder), workspace)
    assert (found.name, found.code) == ("rain-tune.wav", "")


@pytest.mark.parametrize("code", CHANGES)
def test_every_change_is_named(folder: Path, workspace: Workspace, code: str) -> None:
    CHANGES[code](folder / "rain-tune.wav")
    (found,) = verify_outputs(str(folder), workspace)
    assert found.code == code
    assert found.reason


def test_a_folder_that_was_moved_or_lost_its_report_is_verified(
    folder: Path, workspace: Workspace, tmp_path: Path
) -> None:
    moved = folder.rename(tmp_path / "moved")
    assert [each.code for each in verify_outputs(str(moved), workspace)] == [""]
    (moved / "results.parquet").unlink()
    assert [each.code for each in verify_outputs(str(moved), workspace)] == [""]


def test_a_sound_of_somebody_else_is_named(folder: Path, workspace: Workspace) -> None:
    (folder / "mine.wav").write_bytes(b"RIFF")
    found = {each.name: each.code for each in verify_outputs(str(folder), workspace)}
    assert found == {"mine.wav": "no_provenance", "rain-tune.wav": ""}


def test_a_folder_without_outputs_is_an_error(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="neither a report"):
        list(verify_outputs(str(tmp_path), workspace))


def test_a_bucket_is_verified(folder: Path, workspace: Workspace, bucket: str) -> None:
    for name in ("rain-tune.wav", "rain-tune.wav.json"):
        publish(folder / name, f"{bucket}/out/{name}")
    assert [each.code for each in verify_outputs(f"{bucket}/out", workspace)] == [""]
    _flip(folder / "rain-tune.wav")
    publish(folder / "rain-tune.wav", f"{bucket}/out/rain-tune.wav")
    assert [each.code for each in verify_outputs(f"{bucket}/out", workspace)] == ["changed"]


def test_the_command_prints_what_differs_or_sums_to_sign(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["verify", str(folder), "--sums"])
    told = capsys.readouterr()
    assert ended.value.code == 0
    checked = subprocess.check_output(
        ["sha256sum", "--check", "-"], input=told.out.encode(), cwd=folder
    )
    assert checked == b"rain-tune.wav: OK\n"
    _flip(folder / "rain-tune.wav")
    with pytest.raises(SystemExit) as ended:
        main(["verify", str(folder)])
    assert ended.value.code == 1
    assert "[changed]" in capsys.readouterr().out
