"""Compare what was published with its provenance and its report, byte by byte."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from tasks.report.tables import output_of, read_report
from tasks.running.workspace import Workspace
from tasks.storage.errors import StorageError
from tasks.storage.files import fetch_input, list_files, read_if_present, sha256_file
from tasks.storage.seal import SEAL, parsed, unsealed
from tasks.storage.uris import absolute, join

_SOUNDS = (".wav", ".flac", ".ogg")
_MADE = {"ok", "cached"}


class Verified(NamedTuple):
    """One output, relative to its folder, with its sha256, and what is wrong with it, if anything.

    `code` is empty, or ``missing``, ``changed``, ``no_provenance``, ``changed_provenance``,
    ``unsealed_provenance`` or ``other_than_reported``.
    """

    name: str
    sha256: str
    code: str = ""
    reason: str = ""


def verify_outputs(folder_uri: str, workspace: Workspace) -> Iterator[Verified]:
    """Hash every output again, and compare it with its provenance and with the report.

    Parameters
    ----------
    folder_uri
        Output folder or ``s3://`` prefix. Its outputs are those that its report names, and all
        sounds with a provenance next to those.

    Raises
    ------
    StorageError
        ``not_found`` if there is no output; `storage` if a server or disk fails.
    """
    root = absolute(folder_uri)
    reported = _reported(root)
    names = sorted(reported.keys() | _present(root, reported))
    if not names:
        reason = "it contains neither a report with outputs nor a sound with a provenance"
        raise StorageError(folder_uri, "verify", reason, code="not_found")
    for name in names:
        yield _verified(root, name, reported.get(name), workspace)


def _reported(root: str) -> dict[str, str]:
    """Return the sha256 of each output in the report, by its name; empty without a report."""
    try:
        table = read_report(root)
    except StorageError as error:
        if error.code != "not_found":
            raise
        return {}
    except (ValueError, OSError) as error:
        reason = f"it is damaged ({error}); render again to write it"
        raise StorageError(join(root, "results.parquet"), "read", reason) from error
    named = (output_of(table) or "").rstrip("/")
    rows = table.select(["status", "output", "sha256"]).to_pylist()
    return {
        row["output"].removeprefix(named).lstrip("/"): row["sha256"]
        for row in rows
        if row["status"] in _MADE and row["output"].startswith(f"{named}/")
    }


def _present(root: str, reported: dict[str, str]) -> set[str]:
    """Return the sounds, and the provenances without one, in the folders of the outputs."""
    found = set()
    for folder in {"", *(str(PurePosixPath(name).parent) for name in reported)} - {"."}:
        for entry in list_files(join(root, folder) if folder else root):
            name = f"{folder}/{entry.uri.rpartition('/')[2]}".lstrip("/").removesuffix(".json")
            if name.endswith(_SOUNDS):
                found.add(name)
    return found


def _verified(root: str, name: str, reported: str | None, workspace: Workspace) -> Verified:
    uri = join(root, name)
    found, data = _sha256(uri, workspace), read_if_present(f"{uri}.json")
    if found is None:
        return Verified(name, "", "missing", "the file is gone")
    if data is None:
        return Verified(name, found, "no_provenance", "there is no provenance beside it")
    code, reason = _difference(found, data)
    if not code and reported not in {None, found}:
        code = "other_than_reported"
        reason = f"the report names {reported}, but file and provenance agree on {found}"
    return Verified(name, found, code, reason)


def _difference(found: str, provenance: bytes) -> tuple[str, str]:
    """Return code and reason of how a file of this sha256 differs from its provenance."""
    try:
        facts: dict[str, Any] = parsed(provenance)
        claimed = facts.get("sha256")
        if SEAL not in facts and claimed == found:
            reason = "the provenance has no seal: an earlier version wrote it, or it was changed"
            return "unsealed_provenance", reason
        unsealed(facts)
    except ValueError as error:
        return "changed_provenance", f"the provenance is not valid: {error}"
    return ("", "") if claimed == found else ("changed", f"its sha256 is {found}, not {claimed}")


def _sha256(uri: str, workspace: Workspace) -> str | None:
    try:
        with fetch_input(uri, workspace.scratch_root()) as path:
            return sha256_file(path)
    except StorageError as error:
        if error.code != "not_found":
            raise
        return None
