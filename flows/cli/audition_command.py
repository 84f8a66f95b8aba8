"""The command that renders one pair in several ways, to choose by ear."""

import sys
from typing import Annotated

from cyclopts import Parameter

from flows.cli.options import RenderOptions, field_help
from flows.cli.rendering import render_here
from flows.server.environment import prepare_prefect
from nst_core.config import AudioFormat, OutputConfig


def audition(
    ambience: str,
    music: str,
    *,
    output: Annotated[str | None, Parameter(name=["--output", "-o"])] = None,
    start: float = 0.0,
    duration: float | None = None,
    format: AudioFormat = OutputConfig.format,  # noqa: A002
    model: Annotated[str | None, field_help("model")] = None,
    open: bool = True,  # noqa: A002
    verbose: bool = False,
) -> int:
    """Render a pair at five strengths and with every preset, and open the page to compare them.

    Parameters
    ----------
    ambience
        Sound file of the ambience, as a path or s3:// URI.
    music
        Sound file of the music.
    output
        Folder for the sounds and the page; by default audition/AMBIENCE__MUSIC.
    start
        Where the section of the music begins, in seconds.
    duration
        Length of the section in seconds; by default 30, or up to the end of the music.
    format
        Format of the sounds.
    open
        Open the page in a browser.
    verbose
        Show Prefect's own log.
    """
    prepare_prefect(verbose=verbose)
    from flows.settings import Settings
    from tasks.audition import plan_audition
    from tasks.report.page.places import PAGE
    from tasks.storage.uris import is_remote, join, local

    plan = plan_audition(
        ambience,
        music,
        Settings().workspace(),
        output=output,
        start_s=start,
        duration_s=duration,
        format_=format,
    )
    options = RenderOptions(
        output=plan.output, model=model, format=format, input_root=list(plan.input_roots)
    )
    code = render_here(options.request(plan.manifest), verbose=verbose)
    page = join(plan.output, PAGE)
    if open and not is_remote(page):
        import webbrowser

        if not webbrowser.open(local(page).as_uri()):
            sys.stderr.write(f"found no browser; open {page} in one\n")
    print(page)
    return code
