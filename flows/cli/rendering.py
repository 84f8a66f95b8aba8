"""A catalogue rendered by the command itself, shown on the terminal."""

from typing import TYPE_CHECKING, Any

from flows.cli.interruption import heed_sigterm, heeding_sigterm

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

    from flows.requests import RenderRequest


def render_here(request: "RenderRequest", *, verbose: bool) -> int:
    """Render a request in this process; return 0, or 1 if a pair failed."""
    heed_sigterm()
    from flows.cli.own_server import own_server

    wait_for_server = own_server(verbose=verbose)
    from flows.catalog import accepted_manifest, handing_over
    from flows.cli.screen import Screen, say_notes
    from flows.render_catalog import render_catalog
    from tasks.manifest.reading import check_input_roots

    check_input_roots(request.input_roots)
    accepted = accepted_manifest(request)  # refuse a bad manifest even if the server is away
    say_notes(accepted)
    wait_for_server()
    with Screen().shown(), handing_over(request, accepted):
        state: State[Any] = heeding_sigterm(render_catalog)(request, return_state=True)
        if error := error_of(state):
            raise error
    return 0 if state.is_completed() else 1


def error_of(state: "State[Any]") -> BaseException | None:
    """Return the exception that ended a flow; None if the flow returned a state itself."""
    result = state.result(raise_on_failure=False)
    return result if isinstance(result, BaseException) else None
