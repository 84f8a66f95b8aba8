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
