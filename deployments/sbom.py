"""``python -m deployments.sbom LOCK FILE``: write what a lock file installs, in CycloneDX's format.

The lock is checked first, without a network: every package has one version and a sha256 for each
of its files. If `pip-audit` is installed and its service can be reached, it then looks for known
weaknesses. The file depends on the lock only, so it can be compared with that of another release.
"""

import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from deployments.install import Pin, read_lock
from nst_core import __version__

_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})(?![0-9a-f])")
_USAGE, _PROBLEMS = 2, 1


def problems_of(pins: list[Pin]) -> list[str]:
    """Return what is wrong with a lock: no single version, no or another hash, a name twice."""
    found = [] if pins else ["it names no package"]
    seen: set[str] = set()
    for pin in pins:
        name, versions = pin.requirement.name, list(pin.requirement.specifier)
        if [each.operator for each in versions] != ["=="] or versions[0].version.endswith("*"):
            found.append(f"{name}: it has no single version")
        if not _HASH.search(pin.text) or pin.text.count("--hash=") != len(_HASH.findall(pin.text)):
            found.append(f"{name}: a sha256 is missing")
        place = f"{name} {pin.requirement.marker or ''}"
        if place in seen:
            found.append(f"{name}: it occurs twice")
        seen.add(place)
    return found


def sbom(pins: list[Pin]) -> dict[str, Any]:
    """Return the bill of materials of a checked lock."""
    product = {"type": "application", "bom-ref": "amnst", "name": "amnst", "version": __version__}
    components = [_component(pin) for pin in pins]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": product},
        "components": components,
        "dependencies": [
            {"ref": "amnst", "dependsOn": sorted({each["bom-ref"] for each in components})}
        ],
    }


def _component(pin: Pin) -> dict[str, Any]:
    name, (version,) = pin.requirement.name, pin.requirement.specifier
    purl = f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}@{version.version}"
    facts = [("sha256 of a file", each) for each in _HASH.findall(pin.text)]
    if pin.requirement.marker:
        facts.append(("only if", str(pin.requirement.marker)))
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version.version,
        "purl": purl,
        **_licence(name),
        "properties": [{"name": f"amnst:{key}", "value": value} for key, value in facts],
    }


def _licence(name: str) -> dict[str, Any]:
    """Return the licence that an installed package states; the lock contains none."""
    try:
        found = metadata(name)
        stated = next(iter(found.get_all("License-Expression") or ()), "")
    except PackageNotFoundError:
        stated = ""
    return {"licenses": [{"expression": stated}]} if stated else {}


def _audit(lock: Path) -> int:
    """Run `pip-audit` if it is installed; return 1 only if it has found a weakness."""
    if find_spec("pip_audit") is None:
        sys.stderr.write("pip-audit is not installed: no search for known weaknesses\n")
        return 0
    command = (sys.executable, "-m", "pip_audit", "--requirement", str(lock), "--disable-pip")
    ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # ours
    if "known vuln" in ended.stdout + ended.stderr:
        sys.stderr.write(ended.stdout + ended.stderr)
        return ended.returncode
    last = (ended.stderr.strip() or "no answer").splitlines()[-1]
    sys.stderr.write(f"pip-audit could not ask its service: {last}\n")
    return 0


def main(lock: Path, file: Path) -> int:
    """Check a lock and write its bill of materials; return the exit code."""
    pins = read_lock(lock)
    for problem in (problems := problems_of(pins)):
        sys.stderr.write(f"{lock}: {problem}\n")
    if problems:
        return _PROBLEMS
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(sbom(pins), indent=1) + "\n", "utf-8")
    sys.stderr.write(f"{file}: {len(pins)} packages, each with one version and its sha256\n")
    return _audit(lock)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.stderr.write(f"{__doc__}\n")
        sys.exit(_USAGE)
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
