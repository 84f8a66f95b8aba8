"""Rows of a manifest that a request asks for."""

from collections.abc import Collection, Sequence

from tasks.manifest.problems import ManifestError
from tasks.manifest.row import ManifestRow


def selected_rows(
    rows: Sequence[ManifestRow], *, only: Collection[str], limit: int | None, source: str
) -> list[ManifestRow]:
    """Return the enabled rows with the ids in `only`, by default all, up to a limit.

    Raises
    ------
    ManifestError
        ``unknown_id``: no row of the manifest `source` has one of the ids.
    """
    unknown = sorted(set(only) - {row.id for row in rows})
    if unknown:
        raise ManifestError(
            f"no row of {source} has the id {', '.join(unknown)}; check its column id",
            code="unknown_id",
        )
    asked = [row for row in rows if row.enabled and (not only or row.id in only)]
    return asked[:limit]
