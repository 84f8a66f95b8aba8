"""Read stored results as data, so that no stored result can run code.

A record in Prefect's result storage names its own deserialiser. Pickles run code by
design. So does JSON in Prefect's way: a record may name any function as its decoder, and
``{"__class__": "subprocess.call", "data": [...]}`` calls it. Here a record is read only as
JSON, and may name only our own classes.
"""

import dataclasses
import json
from pkgutil import resolve_name
from typing import Any, NoReturn

from prefect.serializers import JSONSerializer
from pydantic import BaseModel, TypeAdapter

from flows.server.prefect_internals import read_results_by

_OURS = {"nst_core", "tasks", "flows"}
_PLAIN = JSONSerializer().model_dump(exclude={"object_encoder"})


def read_as_data() -> None:
    """Make this process read stored results only as plain JSON; others count as missing."""
    read_results_by(_load, _refuse)


def _refuse(serializer: Any, _blob: bytes) -> NoReturn:
    raise ValueError(f"a stored result of type {serializer.type!r} is ignored: it may run code")


def _load(serializer: Any, blob: bytes) -> Any:
    """Parse JSON in the only form that Prefect writes here."""
    if serializer.model_dump(exclude={"object_encoder"}) != _PLAIN:
        raise ValueError("a stored result names its own JSON decoder: it is ignored")
    return json.loads(blob, object_hook=_object)


def _object(fields: dict[str, Any]) -> Any:
    """Return the value that Prefect's encoder wrote as a JSON object."""
    if "__class__" in fields:
        kind = _our_class(fields["__class__"])
        if not (dataclasses.is_dataclass(kind) or issubclass(kind, BaseModel)):
            raise _foreign(fields["__class__"])
        return TypeAdapter(kind).validate_python(fields["data"])
    if "__exc_type__" in fields:
        # Only the message of an exception is stored.
        return RuntimeError(f"{fields['__exc_type__']}: {fields['message']}")
    return fields


def _our_class(name: str) -> type:
    if name.partition(".")[0] not in _OURS:
        raise _foreign(name)
    kind = resolve_name(name)
    # Our modules also contain the names that they import.
    if not isinstance(kind, type) or kind.__module__.partition(".")[0] not in _OURS:
        raise _foreign(name)
    return kind


def _foreign(name: str) -> ValueError:
    return ValueError(f"a stored result names {name!r}, which is not a class of amnst: ignored")
