"""Common base of all flow parameters, which are stored and shown as plain text."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from tasks.storage.credentials import RULE, holds_login

NO_LOGIN = r"^(?!.*://[^/]*@)(?!.*://[^/@]*:.*@)"
"""Rule of `holds_login` as far as a JSON schema can express it, checked by the server."""

Place = Annotated[str, Field(json_schema_extra={"pattern": NO_LOGIN})]
"""A path or URI; the server refuses one that contains a user name and password."""


_REFUSAL = "Parameter validation failed for flow"


def _leave_values_out(record: logging.LogRecord) -> bool:
    """Remove the parameter values from Prefect's message that it refuses them."""
    if record.getMessage().startswith(_REFUSAL):
        record.msg, record.args = f"{_REFUSAL}; see the errors below", ()
    return True


# This happens at import because Prefect checks parameters before a flow's first line. The error
# that follows names each parameter and its rule, but no value.
logging.getLogger("prefect.flows").addFilter(_leave_values_out)


class Parameters(BaseModel):
    """Parameters of a flow; they are plain text in the server's database, UI and log."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    free_text: ClassVar[frozenset[str]] = frozenset()
    """Fields that are not places; they remove logins themselves."""

    @field_validator("*", mode="before")
    @classmethod
    def _hold_no_login(cls, value: object, info: ValidationInfo) -> object:
        if info.field_name not in cls.free_text and any(map(holds_login, _texts(value))):
            raise PydanticCustomError("login_in_place", RULE)
        return value


def _texts(value: object) -> Iterator[str]:
    """Yield every text in a value that comes from a form or a command line."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts(value.values())
    elif isinstance(value, Iterable):
        for each in value:
            yield from _texts(each)
