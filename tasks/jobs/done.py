"""Rows of a manifest that are already rendered, found without hashing what need not be."""

from collections.abc import Sequence

from nst_core.errors import NSTError
from tasks.finished import seems_finished
from tasks.jobs.from_rows import RenderDefaults, inputs_of, plan_job
from tasks.jobs.identities import identify_inputs
from tasks.manifest.row import ManifestRow
from tasks.running.workspace import Workspace
from tasks.storage.files import list_files
from tasks.storage.uris import join


def done_lines(
    rows: Sequence[ManifestRow], defaults: RenderDefaults, workspace: Workspace
) -> set[int]:
    """Return the lines of the rows whose output is there, made with these settings.

    Only inputs of rows that have an output are hashed, and the outputs themselves are not.
    """
    outputs = {row.line: join(defaults.output_uri, row.output) for row in rows}
    folders = dict.fromkeys(output.rpartition("/")[0] for output in outputs.values())
    present = {
        (folder, entry.uri.rpartition("/")[2]) for folder in folders for entry in list_files(folder)
    }
    made = [row for row in rows if _folder_and_name(outputs[row.line]) in present]
    identities = identify_inputs(inputs_of(made), workspace.scratch)
    jobs = ((row.line, plan_job(row, identities, defaults)) for row in made)
    return {
        line
        for line, job in jobs
        if not isinstance(job, NSTError) and seems_finished(job, workspace)
    }


def _folder_and_name(output: str) -> tuple[str, str]:
    folder, _, name = output.rpartition("/")
    return folder, name
