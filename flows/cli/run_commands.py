"""Commands that start catalogues on workers, now or on a schedule, and control their runs."""

import sys
from typing import TYPE_CHECKING, Annotated

from flows.cli.asking import ask_server
from flows.cli.options import RenderOptions, field_help
from tasks.storage.credentials import scrub

if TYPE_CHECKING:
    from flows.requests import RenderRequest


def submit(
    manifest: str,
    *,
    options: RenderOptions,
    shard_size: Annotated[int | None, field_help("shard_size")] = None,
    max_in_flight: Annotated[int | None, field_help("max_in_flight")] = None,
    wait: bool = False,
) -> int:
    """Render a manifest on the workers of a Prefect server.

    Prints the id of the flow run. The workers read the manifest, so they must be able to reach
    it. If this machine can also read it, the manifest is checked first; otherwise a warning is
    printed and the run starts anyway.

    Parameters
    ----------
    manifest
        CSV file, as a path or s3:// URI.
    wait
        Wait until the run has ended; exit with 0 if all pairs succeeded, else with 1.
    """
    ask_server()
    from flows.catalog import accepted_manifest
    from flows.cli.screen import say_notes
    from flows.server.contact import first_contact
    from flows.server.runs import submit as start
    from flows.server.runs import url_of
    from tasks.storage.uris import absolute, is_absent_here, is_remote

    options = options.absolute()
    request = options.request(
        absolute(manifest), shard_size=shard_size, max_in_flight=max_in_flight
    )
    if not is_remote(request.manifest) and not is_absent_here(request.manifest):
        say_notes(accepted_manifest(request))  # refuse at once what the workers would refuse
    first_contact()
    run = start(request)
    sys.stderr.write(f"{run.name}: {url_of(run)}\n")
    _warn_of_absent(request)
    print(run.id, flush=True)  # a script that reads it does not wait for the run's end
    return _waited(str(run.id)) if wait else _left_running(str(run.id))


def retry(run: str, *, wait: bool = False) -> int:
    """Retry a failed flow run: only unfinished pairs are rendered.

    A completed run is refused; use `amnst submit` to render its manifest again.

    Parameters
    ----------
    run
        Id of the flow run of a catalogue or of one shard.
    wait
        Wait until the run has ended; exit with 0 if all pairs succeeded, else with 1.
    """
    ask_server()
    from flows.server.contact import first_contact
    from flows.server.runs import retry as start_again
    from flows.server.runs import url_of

    first_contact()
    found = start_again(run)
    sys.stderr.write(f"{found.name}: {url_of(found)}\n")
    return _waited(run) if wait else _left_running(run)


def wait(run: str) -> int:
    """Wait until a flow run has ended; exit with 0 if all pairs succeeded, else with 1.

    Parameters
    ----------
    run
        Id of the flow run of a catalogue or of one shard.
    """
    ask_server()
    _contact_or_wait()
    return _waited(run)


def cancel(run: str) -> int:
    """Stop a flow run that has not ended, and its shards if it is a catalogue.

    Finished results stay, and the report says which rows were not run. Use `amnst retry` to
    continue.

    Parameters
    ----------
    run
        Id of the flow run of a catalogue or of one shard.
    """
    ask_server()
    from flows.server.contact import first_contact
    from flows.server.runs import cancel as stop
    from flows.server.runs import url_of

    first_contact()
    found = stop(run)
    sys.stderr.write(f"{found.name}: {url_of(found)}\n")
    if found.state_name == "Cancelling":
        sys.stderr.write(
            f"asked to stop; to see it end: amnst wait {run}. If its worker is dead, cancel it "
            "again in two minutes\n"
        )
    elif found.state_name == "Cancelled":
        sys.stderr.write("stopped\n")
    else:  # its process was already lost
        sys.stderr.write("asked its shards to stop\n")
    return 0


def schedule(
    manifest: str,
    *,
    options: RenderOptions,
    cron: str,
    timezone: str = "UTC",
    name: str = "catalog",
    active: bool = False,
) -> int:
    """Render a manifest on a schedule, which is off until you switch it on here or in the UI.

    Parameters
    ----------
    manifest
        CSV file, as a path or s3:// URI; it is read again each time.
    cron
        Times as a cron expression, such as '0 3 * * *' for three o'clock every night.
    timezone
        Time zone of these times, such as Europe/Berlin.
    name
        Name of the schedule; it replaces an earlier schedule of the same name.
    active
        Switch the schedule on.
    """
    ask_server()
    from flows.server.contact import first_contact
    from flows.server.schedules import schedule as create
    from tasks.storage.credentials import refuse_login
    from tasks.storage.uris import absolute

    for option, value in (("--cron", cron), ("--timezone", timezone), ("--name", name)):
        refuse_login(option, value)
    first_contact()
    request = options.absolute().request(absolute(manifest))
    replaced = create(request, cron=cron, timezone=timezone, name=name, active=active)
    sys.stderr.write(f"schedule {name}: {cron} {timezone}, {'on' if active else 'off'}\n")
    if replaced is not None:
        sys.stderr.write(
            f"this replaces the schedule {name} of {replaced}; to keep both, pass another --name\n"
        )
    _warn_of_absent(request)
    return 0


def schedules() -> int:
    """List the schedules of catalogues: name, times, on or off, manifest."""
    ask_server()
    from flows.server.contact import first_contact
    from flows.server.schedules import schedules as all_schedules

    first_contact()
    for each in all_schedules():
        manifest = each.parameters.get("request", {}).get("manifest", "")
        times = getattr(each.schedule, "cron", each.schedule)
        line = f"{each.slug}\t{times}\t{'on' if each.active else 'off'}\t{manifest}"
        print(scrub(line))
    return 0


def unschedule(name: str) -> int:
    """Remove a schedule.

    Parameters
    ----------
    name
        Name of the schedule, as `amnst schedules` shows it.
    """
    ask_server()
    from flows.server.contact import first_contact
    from flows.server.schedules import unschedule as remove

    first_contact()
    remove(name)
    return 0


def _warn_of_absent(request: "RenderRequest") -> None:
    """Warn of files that are not on this machine's disks: the workers may not have them."""
    from tasks.storage.uris import is_absent_here

    for place in (request.manifest, request.model, *request.input_roots):
        if place and is_absent_here(place):
            sys.stderr.write(
                f"amnst: {place} is not on this machine; "
                "make sure that the workers can read it [not_here]\n"
            )


def _contact_or_wait() -> None:
    """Raise errors that waiting cannot fix; a server that is away is waited for later."""
    from flows.server.connection import ServerError
    from flows.server.contact import first_contact

    try:
        first_contact()
    except ServerError as error:
        if error.code != "server_away":
            raise


def _left_running(run_id: str) -> int:
    sys.stderr.write(f"to see it end: amnst wait {run_id}\n")
    return 0


def _waited(run_id: str) -> int:
    from flows.cli.interruption import exit_code, say_on_interruption

    say_on_interruption("no longer waiting")
    try:
        from flows.cli.screen import waiting
        from flows.server.waiting import report_of, wait_for

        with waiting() as (warn, show):
            run, state = wait_for(run_id, warn, show)
    except KeyboardInterrupt:
        sys.stderr.write(f"stopped waiting; the run continues on the server: {run_id}\n")
        return exit_code()
    sys.stderr.write(f"{state.name}: {state.message or ''}\n")
    if report := report_of(run):
        from tasks.report.page.places import page_beside

        sys.stderr.write(f"report: {report}\nlisten: {page_beside(report)}\n")
    if state.is_completed():
        return 0
    to_do = "to continue" if state.is_cancelled() else "fix the problem, then"
    sys.stderr.write(f"{to_do}: amnst retry {run_id}\n")
    return 1
