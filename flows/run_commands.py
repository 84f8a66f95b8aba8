"""Commands that start catalogues on workers, now or at set times, and those for their runs."""

import sys
from typing import TYPE_CHECKING

from flows.exit_codes import INTERRUPTED
from flows.options import RenderOptions
from flows.prefect_environment import prepare_prefect

if TYPE_CHECKING:
    from flows.catalog import RenderRequest


def submit(
    manifest: str,
    *,
    options: RenderOptions,
    shard_size: int | None = None,
    max_in_flight: int | None = None,
    wait: bool = False,
) -> int:
    """Start a manifest's catalogue on the workers of a Prefect server.

    Prints the id of the flow run. The manifest is read by the workers: its place must be
    one that they reach. One that is on this machine, too, is checked first; one that is not
    is named, and not refused.

    Parameters
    ----------
    manifest
        CSV file, path or s3://.
    shard_size
        Pairs per shard run, 1 to 200; by default 25 to 50.
    max_in_flight
        Shard runs that wait or work at a time; by default 16.
    wait
        Return when the run has ended: 0 if all pairs are well, else 1.
    """
    prepare_prefect(verbose=False)
    from flows.catalog import accepted_manifest
    from flows.runs import submit as start
    from flows.runs import url_of
    from tasks.files import absolute, is_absent_here, is_remote

    options = options.absolute()
    request = options.request(
        absolute(manifest), shard_size=shard_size, max_in_flight=max_in_flight
    )
    if not is_remote(request.manifest) and not is_absent_here(request.manifest):
        accepted_manifest(request)  # what the workers would refuse
    run = start(request)
    sys.stderr.write(f"{run.name}: {url_of(run)}\n")
    _warn_of_absent(request)
    print(run.id)
    return _waited(str(run.id)) if wait else 0


def retry(run: str, *, wait: bool = False) -> int:
    """Start a flow run again that has failed: only what is not finished is made.

    A completed one is refused: `amnst submit` starts its manifest anew.

    Parameters
    ----------
    run
        Id of the flow run, of a catalogue or of one shard.
    wait
        Return when the run has ended: 0 if all pairs are well, else 1.
    """
    prepare_prefect(verbose=False)
    from flows.runs import retry as start_again
    from flows.runs import url_of

    found = start_again(run)
    sys.stderr.write(f"{found.name}: {url_of(found)}\n")
    return _waited(run) if wait else 0


def wait(run: str) -> int:
    """Return when a flow run has ended: 0 if all pairs are well, else 1.

    Parameters
    ----------
    run
        Id of the flow run, of a catalogue or of one shard.
    """
    prepare_prefect(verbose=False)
    return _waited(run)


def cancel(run: str) -> int:
    """Stop a flow run that has not ended; that of a catalogue takes its shards along.

    What is finished stays, and the report says which rows were not run. `amnst retry` goes on.

    Parameters
    ----------
    run
        Id of the flow run, of a catalogue or of one shard.
    """
    prepare_prefect(verbose=False)
    from flows.runs import cancel as stop
    from flows.runs import url_of

    found = stop(run)
    sys.stderr.write(f"{found.name}: {url_of(found)}\n")
    if found.state_name == "Cancelling":
        sys.stderr.write(
            f"asked to stop; to see it end: amnst wait {run}. If its worker is dead, cancel it "
            "again in two minutes\n"
        )
    elif found.state_name == "Cancelled":
        sys.stderr.write("stopped\n")
    else:  # its process was lost before
        sys.stderr.write("its shards are asked to stop\n")
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
    """Render a manifest at set times; off until switched on here or in the UI.

    Parameters
    ----------
    manifest
        CSV file, path or s3://; read anew each time.
    cron
        As '0 3 * * *': at three every night.
    timezone
        As Europe/Berlin.
    name
        One schedule of a name; a second one replaces it.
    active
        Switch it on.
    """
    prepare_prefect(verbose=False)
    from flows.runs import schedule as create
    from tasks.files import absolute

    request = options.absolute().request(absolute(manifest))
    replaced = create(request, cron=cron, timezone=timezone, name=name, active=active)
    sys.stderr.write(f"schedule {name}: {cron} {timezone}, {'on' if active else 'off'}\n")
    if replaced is not None:
        sys.stderr.write(
            f"it takes the place of the schedule {name} of {replaced}; --name keeps both\n"
        )
    _warn_of_absent(request)
    return 0


def schedules() -> int:
    """List the schedules of catalogues: name, times, on or off, manifest."""
    prepare_prefect(verbose=False)
    from flows.runs import schedules as all_schedules

    for each in all_schedules():
        manifest = each.parameters.get("request", {}).get("manifest", "")
        times = getattr(each.schedule, "cron", each.schedule)
        print(f"{each.slug}\t{times}\t{'on' if each.active else 'off'}\t{manifest}")
    return 0


def unschedule(name: str) -> int:
    """Remove a schedule.

    Parameters
    ----------
    name
        As `amnst schedules` shows it.
    """
    prepare_prefect(verbose=False)
    from flows.runs import unschedule as remove

    remove(name)
    return 0


def _warn_of_absent(request: "RenderRequest") -> None:
    """Name what is not on this machine's disks, which the workers may not share."""
    from tasks.files import is_absent_here

    for place in (request.manifest, request.model, *request.input_roots):
        if place and is_absent_here(place):
            sys.stderr.write(
                f"amnst: {place} is not on this machine; the workers read it: "
                "see that they have it [not_here]\n"
            )


def _waited(run_id: str) -> int:
    try:
        from flows.runs import report_of, wait_for
        from flows.screen import waiting

        with waiting() as (warn, show):
            run, state = wait_for(run_id, warn, show)
    except KeyboardInterrupt:
        sys.stderr.write(f"no longer waited for; the run goes on at the server: {run_id}\n")
        return INTERRUPTED
    sys.stderr.write(f"{state.name}: {state.message or ''}\n")
    if report := report_of(run):
        sys.stderr.write(f"report: {report}\n")
    if state.is_completed():
        return 0
    to_do = "to go on" if state.is_cancelled() else "mend what is wrong, then"
    sys.stderr.write(f"{to_do}: amnst retry {run_id}\n")
    return 1
