"""The bill of materials names what the lock installs; a lock that pins too little is refused."""

import json
from pathlib import Path

import pytest

from deployments.install import read_lock
from deployments.sbom import main, problems_of, sbom

LOCK = Path(__file__).parents[2] / "requirements.lock"


def test_the_own_lock_is_complete_and_every_package_is_named(tmp_path: Path) -> None:
    pins = read_lock(LOCK)
    assert problems_of(pins) == []
    found = json.loads(json.dumps(sbom(pins)))
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
    assert len(found["components"]) == len(pins) > 100
    purls = {each["purl"] for each in found["components"]}
    assert any(purl.startswith("pkg:pypi/tensorflow@") for purl in purls)
    for each in found["components"]:
        assert each["purl"].endswith(f"@{each['version']}")
        assert any(len(fact["value"]) == 64 for fact in each["properties"])


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("a>=1 \\\n    --hash=sha256:" + "0" * 64, "no single version"),
        ("a==1.* \\\n    --hash=sha256:" + "0" * 64, "no single version"),
        ("a==1", "sha256 is missing"),
        ("a==1 \\\n    --hash=sha256:" + "0" * 63, "sha256 is missing"),
        ("a==1 \\\n    --hash=md5:" + "0" * 32, "sha256 is missing"),
        ("\n".join(["a==1 \\\n    --hash=sha256:" + "0" * 64] * 2), "occurs twice"),
        ("", "names no package"),
    ],
)
def test_a_lock_that_pins_too_little_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, problem: str
) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text(f"{line}\n")
    assert main(lock, tmp_path / "sbom.json") == 1
    assert problem in capsys.readouterr().err
    assert not (tmp_path / "sbom.json").exists()
