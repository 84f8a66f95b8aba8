"""Codes of all errors: what each means, and the way out.

The message of an error names the file or row, its value and the rule. This table says the same in
general, for the documentation and for `amnst explain`. Codes never change.
"""

from typing import NamedTuple


class ErrorCode(NamedTuple):
    """What a code means, and what to do; neither is empty."""

    meaning: str
    way_out: str


def _codes(*rows: tuple[str, str, str]) -> dict[str, ErrorCode]:
    return {code: ErrorCode(meaning, way_out) for code, meaning, way_out in rows}


_FETCH = "fetch the file again"
_CONVERT = "convert the file, for example to WAV or FLAC"
_CORRECT = "correct the cell that the message names"

SOUND_FILES = _codes(
    ("bad_length", "a header and the length of its file contradict each other",
     "rewrite the file with the command in the message, or cut off what is not sound"),
    ("bad_range", "`start_s` or `duration_s` is outside the file", _CORRECT),
    ("bad_rate", "the sample rate is outside 8 to 384 kHz", _CONVERT),
    ("changed", "the file changed while it was read", "wait until nothing writes it; run again"),
    ("channels", "the file has more than eight channels, or none", "mix it down first"),
    ("corrupt", "data inside the file are damaged or missing", _FETCH),
    ("decoder_crashed", "the file made its decoder crash", _CONVERT),
    ("decoder_memory", "the file made its decoder use more than a gigabyte", _CONVERT),
    ("decoder_stalled", "the decoder returned no sound for 60 s", _CONVERT),
    ("empty_file", "the file has no bytes", _FETCH),
    ("no_samples", "the file has a valid header and no sound", _FETCH),
    ("non_finite", "samples or results are not finite numbers, or far too large",
     "export the sound again; if the sound is fine, report the row"),
    ("not_a_file", "the path is a folder or a device", "name a file"),
    ("not_audio", "the content is not that of a sound file", "check what the file is"),
    ("permission", "this user may not read the file", "change the file's permissions"),
    ("silent", "the sound, or the part that is used, is silent", "use an audible part"),
    ("too_big", "the file is larger than its kind may be: 2 GiB for a sound", "split it"),
    ("too_long", "the sound or section is longer than 30 minutes",
     "split it, or set `start_s` and `duration_s`"),
    ("too_short", "the sound or section is shorter than 0.25 s, or than the transfer needs",
     "use a longer clip or section"),
    ("truncated", "the end of the file is missing", _FETCH),
    ("unreadable", "the disk or the network failed while the file was read",
     "check the disk or the network; run again"),
    ("unsupported_format", "the format, or its variant, is not supported", _CONVERT),
)  # fmt: skip

MANIFEST = _codes(
    ("bad_id", "an id has a character that is not allowed, or more than 100",
     "use letters, digits, and . _ -; begin with a letter or digit"),
    ("bad_manifest", "several rules are broken", "correct each line that the message names"),
    ("bad_name", "a file name cannot become an id", "rename the file, or write `id` yourself"),
    ("bad_output", "an output's path is not relative, is hidden, or does not end in its format",
     _CORRECT),
    ("bad_value", "a value is outside its range or not one of the choices", _CORRECT),
    ("duplicate_column", "a column occurs twice", "remove one of them"),
    ("duplicate_id", "two rows have the same id, ignoring case", "give each row its own `id`"),
    ("duplicate_output", "two rows write the same file", "give each row its own `output`"),
    ("empty", "the manifest has no rows", "add rows; `amnst plan` writes them"),
    ("login_in_place", "a path contains a user name and password",
     "remove them; put credentials into `AWS_*` variables or an AWS profile"),
    ("missing_column", "a required column is missing", "add it to the header"),
    ("no_input_root", "an input root is not a folder", "correct `--input-root`"),
    ("no_match", "a pattern or folder matches no sound file", "check the pattern and the folder"),
    ("not_csv", "the file is not CSV", "save it as CSV in UTF-8 with commas"),
    ("output_is_input", "a row would replace one of its inputs",
     "choose another output folder or `output`"),
    ("outside_root", "an input is outside the input roots", "pass its folder as `--input-root`"),
    ("row_length", "a row has more or fewer cells than the header",
     "quote cells that contain a comma"),
    ("too_many_columns", "the header has more than 200 columns", "check the file"),
    ("too_many_rows", "the manifest has more than a million rows", "split it"),
    ("unknown_column", "a column is unknown", "correct it, or call it `x_...` to pass it through"),
    ("unknown_id", "`--only` names an id that no row has", "check the ids in the manifest"),
    ("unsafe_path", "a path leads out of its folder or has an unsupported scheme",
     "give a plain path or an s3:// URI"),
    ("wrong_encoding", "the manifest is not UTF-8", "save it as CSV in UTF-8"),
    ("wrong_separator", "cells are separated by something other than commas",
     "save it as CSV with commas"),
)  # fmt: skip

STORAGE = _codes(
    ("bad_home", "`PREFECT_HOME` cannot be used, or others could read it",
     "set it to a folder of its own"),
    ("bad_rows", "the stored rows of a shard are not those of its catalogue",
     "retry the catalogue's run"),
    ("bad_uri", "a place is not a path or an s3:// URI, or leads out of its folder",
     "correct the place"),
    ("corrupt_artefact", "an entry of the store is damaged",
     "delete the entry; it is computed again"),
    ("lease_lost", "another run has taken over the output folder",
     "let the other run end; run again, or choose another output"),
    ("not_found", "a file, bucket, run or schedule does not exist",
     "check the name in the message"),
    ("other_than_reported", "a published file is not the one that the report names",
     "render its row again"),
    ("output_in_use", "another run writes to this output folder",
     "wait, stop the other run, or choose another `--output`"),
    ("storage", "a disk or an S3 server refused or failed", "read the reason; run again"),
)  # fmt: skip

MODELS = _codes(
    ("archive_too_big", "the archive unpacks to more than is allowed", "use a smaller archive"),
    ("bad_tracks_csv", "`tracks.csv` of a dataset cannot be used", "correct or remove it"),
    ("damaged_archive", "the archive is damaged", "fetch the archive again"),
    ("dataset_changed", "the dataset changed during the training",
     "wait until nothing changes it; train again"),
    ("dataset_not_found", "the dataset does not exist", "check the path or URI"),
    ("detour", "a download is redirected to a private address, or away from TLS",
     "give the address that it ends at, if you trust it"),
    ("insecure_source", "the dataset comes by http:// without a checksum",
     "use https://, or pass `--sha256`"),
    ("model_architecture", "the weights do not fit this version's network",
     "train the model again"),
    ("model_card", "the model's card is missing or damaged",
     "keep the card next to its weights, or train again"),
    ("model_checksum", "the weights are not those of the card",
     "restore both files, or train again"),
    ("model_not_found", "there is no model at this place", "correct `--model`, or train a model"),
    ("no_audio", "the archive contains no sound files", "check the archive"),
    ("no_finite_loss", "the optimisation found no finite loss",
     "lower `learning_rate` or the weights"),
    ("no_genres", "the dataset has no folders of genres", "make one folder for each genre"),
    ("no_segments", "no track is long enough for a segment", "add longer tracks"),
    ("not_archive", "the file is not an archive", "pass a folder, a tar or a zip file"),
    ("one_genre", "the dataset has only one genre", "add another genre"),
    ("other_model", "the model changed after the catalogue was started",
     "restore the model and retry the shard, or retry the catalogue"),
    ("sha256_mismatch", "the archive's checksum is not the expected one",
     "fetch the archive again, or correct `--sha256`"),
    ("too_few_tracks", "the dataset has too few tracks for a split", "add tracks"),
    ("too_many_unreadable", "too many tracks cannot be read", "repair the files that are listed"),
    ("unsafe_archive", "the archive holds paths or entries that are not safe", "pack it again"),
    ("web_page", "the address returns a web page, not an archive",
     "use the address of the file itself; a page may ask for a login"),
)  # fmt: skip

SERVERS = _codes(
    ("bad_url", "`PREFECT_API_URL` is not a valid address",
     "set it, for example to http://127.0.0.1:4200/api"),
    ("completed", "the run has succeeded, so nothing can be retried",
     "submit its manifest again"),
    ("ended", "the run has ended, so it cannot be cancelled", "retry it if it should continue"),
    ("home_in_use", "another server uses this `PREFECT_HOME`",
     "use that server, end it, or set another `PREFECT_HOME`"),
    ("login_exposed", "others could read the file with the login",
     "make it readable only by you, or delete it to get a new login"),
    ("no_auth_elsewhere", "`--no-auth` with `--allow-host` would let everybody run commands",
     "remove one of the two options"),
    ("no_deployment", "the run has no deployment, so it cannot be retried",
     "run its command again"),
    ("no_image", "this type of pool needs a container image", "pass `--image`"),
    ("no_job_template", "Prefect does not know this type of pool",
     "install the package in the message"),
    ("no_server", "no server is named", "set `PREFECT_API_URL`; `amnst serve` starts a server"),
    ("not_final", "the run has not ended, so it cannot be retried", "wait for it, or cancel it"),
    ("not_prefect", "the address is not that of a Prefect server", "check `PREFECT_API_URL`"),
    ("other_pool_type", "the pool exists with another type",
     "pass its type as `--pool-type`, or delete the pool"),
    ("other_version", "server, worker or catalogue have another version",
     "install the same version on all machines"),
    ("port_in_use", "another program uses the port", "pass another `--port`"),
    ("refused", "the server refused the request", "read the reason in the message"),
    ("server_away", "the server does not answer", "start it, or correct `PREFECT_API_URL`"),
    ("server_ended", "the server ended by itself", "read its last words in the message"),
    ("server_silent", "the server did not answer in time",
     "try again when the machine is less busy"),
    ("shard_lost", "a shard ended without a report, again and again",
     "check the workers; retry the catalogue"),
    ("unauthorized", "the server wants a login, or another one",
     "set `PREFECT_API_AUTH_STRING`"),
)  # fmt: skip

LISTENING_TESTS = _codes(
    ("bad_answers", "a file of answers is damaged, or an answer is outside its range",
     "ask the listener for the file again"),
    ("bad_key", "`key.json` is damaged", "restore it, or build the test again"),
    ("duplicate_listener", "two files are answers of one listener", "leave one of them out"),
    ("foreign_answers", "the answers belong to another listening test",
     "pass the key of that test"),
    ("incomplete_answers", "the listener did not finish", "ask for the finished file"),
    ("no_key", "there is no `key.json`", "pass `--key` with the file next to the page"),
    ("no_pairs", "no pair could be rendered", "read the reasons; correct the manifest"),
    ("not_answers", "the file is not one of answers", "pass the files that listeners send back"),
    ("panel_exists", "the folder holds a listening test already", "choose another `--output`"),
    ("too_many_pairs", "nobody rates so many pairs",
     "shorten the manifest, or switch rows off in the column `enabled`"),
    ("uneven_loudness", "a sound cannot be as loud as the others, because it has only sharp peaks",
     "use a denser ambience or music"),
)  # fmt: skip

GENERAL = _codes(
    ("bad_config", "an option or setting is outside its range", "correct what the message names"),
    ("bad_signal", "an array has the wrong shape, type or length",
     "pass what the message asks for"),
    ("internal", "an error that AM-NST did not expect", "report it, with the log of the run"),
)  # fmt: skip

GROUPS = {
    "Sound files": SOUND_FILES,
    "Manifests": MANIFEST,
    "Storage": STORAGE,
    "Models and datasets": MODELS,
    "Servers and runs": SERVERS,
    "Listening tests": LISTENING_TESTS,
    "General": GENERAL,
}
ERROR_CODES = {code: each for group in GROUPS.values() for code, each in group.items()}
