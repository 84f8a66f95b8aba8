"""Manifests for tests: written, read, and the one problem of a row."""

from pathlib import Path

from tasks.manifest.reading import Manifest, read_manifest


def read(root: Path, *lines: str, **options: object) -> Manifest:
    (root / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_manifest(root / "manifest.csv", **options)


def only_problem(root: Path, header: str, row: str, **options: object) -> tuple[str, str]:
    manifest = read(root, header, row, "rain.wav,waltz.wav" + "," * (header.count(",") - 1))
    assert len(manifest.rows) == 1, "the good row remains"
    (problem,) = manifest.problems
    return problem.code, str(problem)
