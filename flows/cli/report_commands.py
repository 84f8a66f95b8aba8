"""Commands about reports: the listening page made again, and an error code explained."""

import sys
from typing import Annotated

from flows.cli.error_codes import ERROR_CODES
from flows.cli.options import field_help
from nst_core.errors import ConfigError
from tasks.jobs.listen import DEFAULT_INPUTS, Inputs


def report(
    output: str,
    *,
    run: str | None = None,
    pictures: bool = False,
    listen: Annotated[Inputs, field_help("listen")] = DEFAULT_INPUTS,
) -> int:
    """Make the listening page of an output folder again, from its report.

    Nothing is rendered, and results.csv stays as it is.

    Parameters
    ----------
    output
        Output folder or s3:// prefix of a catalogue.
    run
        Id of a flow run that renders into it on workers: the page then shows what its shards
        have reported so far, from the store.
    pictures
        Draw the pictures that are missing, such as those of an older catalogue, from the sounds.
    """
    sys.stderr.write("making the page\n")
    from flows.settings import Settings
    from tasks.report.page.writing import write_page
    from tasks.report.tables import read_report, report_table

    workspace = Settings().workspace()
    if run is None:
        table = read_report(output)
    else:
        from tasks.report.parts import results_so_far

        table = report_table(results_so_far(workspace, run), run)
    if pictures:
        from tasks.report.page.drawing import draw_missing

        for row in draw_missing(table, workspace, output):
            sys.stderr.write(f"{row.name}: {row.problem or 'drawn'}\n")
    page = write_page(table, workspace, output, inputs=listen)
    sys.stderr.write(f"listen: {page}\n")
    print(page)
    return 0


def explain(code: str) -> int:
    """Say what an error code means, and the way out.

    Parameters
    ----------
    code
        Code from the column `error_code` of a report, or from the end of an error message.
    """
    code = code.strip("[]")
    if code not in ERROR_CODES:
        raise ConfigError(f"{code!r} is not an error code; the codes are {', '.join(ERROR_CODES)}")
    each = ERROR_CODES[code]
    print(f"{code}: {each.meaning}\nway out: {each.way_out}")
    return 0


def verify(output: str, *, sums: bool = False) -> int:
    """Hash all outputs of a folder again, and name those that differ from their provenance.

    Exits with 0 if every output is as it was published, and with 1 if not.

    Parameters
    ----------
    output
        Output folder or s3:// prefix of a catalogue.
    sums
        Print the sha256 of every output that is as published, as `sha256sum` does. Sign these
        lines to prove later that nobody has changed the outputs and their provenance together.
    """
    from flows.settings import Settings
    from tasks.report.verifying import verify_outputs

    n_well = n_bad = 0
    for each in verify_outputs(output, Settings().workspace()):
        n_bad += bool(each.code)
        n_well += not each.code
        if each.code:
            (sys.stderr.write if sums else sys.stdout.write)(
                f"{each.name}: {each.reason} [{each.code}]\n"
            )
        elif sums:
            print(f"{each.sha256}  {each.name}")
    sys.stderr.write(f"{output}: as published: {n_well}, different: {n_bad}\n")
    return int(n_bad > 0)
