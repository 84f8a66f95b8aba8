"""A catalogue rendered by the command itself, shown on the terminal."""

from typing import TYPE_CHECKING, Any

from flows.cli.interruption import heeding_sigterm, is_interrupted, say_on_interruption

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

    from flows.catalog import Accepted
    from flows.cli.screen import Screen
    from flows.requests import RenderRequest


def render_here(request: "RenderRequest", *, verbose: bool) -> int:
    """Render a request in this process; return 0, or 1 if a pair failed."""
    from flows.cli.screen import Screen, say_notes

    with Screen().shown() as screen:
        screen.stage("read manifest")
        from flows.catalog import accepted_manifest
        from flows.finished import report_again, results_if_finished
        from flows.settings import Settings
        from tasks.manifest.reading import check_input_roots

        check_input_roots(request.input_roots)
        accepted = accepted_manifest(request)  # refuse a bad manifest even if the server is away
        say_notes(accepted)
        workspace = Settings().workspace()
        done = results_if_finished(request, accepted, workspace)
        if done is None:
            return 0 if _render_by_flow(request, accepted, screen, verbose=verbose) else 1
        tally, written = report_again(request, done, workspace)
        screen.ended(tally.summary(), written)
        return int(tally.n_bad > 0)


def _render_by_flow(
    request: "RenderRequest", accepted: "Accepted", screen: "Screen", *, verbose: bool
) -> bool:
    """Render a manifest in a flow run; return whether all pairs have an output."""
    screen.stage("start Prefect")
    from flows.cli.own_server import own_server

    wait_for_server = own_server(verbose=verbose)
    from flows.catalog import handing_over
    from flows.render_catalog import render_catalog

    wait_for_server()
    say_on_interruption("stopping; pairs at work get 10 s; again to stop now")
    with handing_over(request, accepted):
        state: State[Any] = heeding_sigterm(render_catalog)(request, return_state=True)
    if state.is_cancelled() and is_interrupted():
        raise KeyboardInterrupt
    if error := error_of(state):
        raise error
    return state.is_completed()


def error_of(state: "State[Any]") -> BaseException | None:
    """Return the exception that ended a flow; None if the flow returned a state itself."""
    result = state.result(raise_on_failure=False)
    return result if isinstance(result, BaseException) else None
