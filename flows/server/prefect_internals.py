"""Everything that depends on Prefect's internals: undocumented names and replaced methods.

A new version of Prefect may move any of them; tests/flows/server/test_prefect_internals.py
then fails. The worker's own part is in deployments/worker_process.py.
"""

from collections.abc import Callable
from typing import Any

from prefect.serializers import CompressedSerializer, JSONSerializer, PickleSerializer
from prefect.utilities.asyncutils import run_coro_as_sync
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools import validate
from prefect.utilities.templating import apply_values
from prefect.utilities.urls import url_for

__all__ = [
    "apply_values",
    "parameter_schema",
    "read_results_by",
    "run_coro_as_sync",
    "url_for",
    "validate",
]


def read_results_by(load: Callable[[Any, bytes], Any], refuse: Callable[[Any, bytes], Any]) -> None:
    """Make this process read stored JSON results with `load`, and all others with `refuse`.

    Both take the serialiser that the result names, and its bytes. Prefect has no setting for this.
    """
    PickleSerializer.loads = refuse  # type: ignore[method-assign, assignment]
    CompressedSerializer.loads = refuse  # type: ignore[method-assign, assignment]
    JSONSerializer.loads = load  # type: ignore[method-assign, assignment]
