"""Stored results are data: reading one runs no code, whoever has written it.

A record in Prefect's result storage names its own deserialiser. Pickles run code by
design. JSON does, too, as Prefect reads it: a record may name any function as its decoder,
and ``{"__class__": "subprocess.call", "data": [...]}`` calls it. Here a record is read as
JSON only, and names no classes but ours.
"""

import dataclasses
import json
from typing import Any, NoReturn

from prefect.serializers import CompressedSerializer, JSONSerializer, PickleSerializer
from prefect.utilities.importtools import from_qualified_name
from pydantic import BaseModel, TypeAdapter

_OURS = {"nst_core", "tasks", "flows"}
_PLAIN = JSONSerializer().model_dump(exclude={"object_encoder"})


def read_as_data() -> None:
    """Let this process read stored results as plain JSON; others count as missing."""
    # There is no setting for it.
    PickleSerializer.loads = _refuse  # type: ignore[method-assign, assignment]
    CompressedSerializer.loads = _refuse  # type: ignore[method-assign, assignment]
    JSONSerializer.loads = _load  # type: ignore[method-assign, assignment]


def _refuse(serializer: Any, _blob: bytes) -> NoReturn:
    raise ValueError(f"a stored result of type {serializer.type!r} is not read: it may run code")


def _load(serializer: Any, blob: bytes) -> Any:
    """Parse JSON of the one kind that Prefect writes here."""
    if serializer.model_dump(exclude={"object_encoder"}) != _PLAIN:
        raise ValueError("a stored result asks for a JSON decoder of its own: it is not read")
    return json.loads(blob, object_hook=_object)


def _object(fields: dict[str, Any]) -> Any:
    """What Prefect's encoder made a JSON object of."""
    if "__class__" in fields:
        kind = _our_class(fields["__class__"])
        if not (dataclasses.is_dataclass(kind) or issubclass(kind, BaseModel)):
            raise _foreign(fields["__class__"])
        return TypeAdapter(kind).validate_python(fields["data"])
    if "__exc_type__" in fields:
        # Of an exception the message is all there is.
        return RuntimeError(f"{fields['__exc_type__']}: {fields['message']}")
    return fields


def _our_class(name: str) -> type:
    if name.partition(".")[0] not in _OURS:
        raise _foreign(name)
    kind = from_qualified_name(name)
    # Our modules also hold what they import.
    if not isinstance(kind, type) or kind.__module__.partition(".")[0] not in _OURS:
        raise _foreign(name)
    return kind


def _foreign(name: str) -> ValueError:
    return ValueError(f"a stored result names {name!r}, which is no value of amnst: it is not read")
