"""Columns of a report, declared once for Parquet, CSV and the table in the documentation."""

from typing import Literal, NamedTuple


class Column(NamedTuple):
    """One column; `help` says what its cells mean and is never empty."""

    name: str
    type: Literal["text", "integer", "number"]
    unit: str
    help: str


COLUMNS = (
    Column("id", "text", "", "id of the row"),
    Column(
        "status",
        "text",
        "",
        "`ok` (rendered now), `cached` (already done), `failed`, `skipped` (disabled or not "
        "selected), `invalid` (breaks a rule of the manifest) or `not_run` (interrupted)",
    ),
    Column(
        "verdict",
        "text",
        "",
        "`as meant`, or what is not as the row's strength asks. The limits are content 0.55 and "
        "texture 0.55 times the strength; at strength 1 also carrier 3.4 dB and follow 0.25",
    ),
    Column("output", "text", "", "path or URI of the file"),
    Column(
        "strength",
        "number",
        "",
        "0 (the music itself) to 1 (the ambience plays it); the mean of a curve over time",
    ),
    Column("loudness_lufs", "number", "LUFS", "integrated loudness of the file"),
    Column("stage", "text", "", "first stage that failed"),
    Column("error_code", "text", "", "code of the reason; codes never change"),
    Column("error", "text", "", "reason why the row has no output"),
    Column("warnings", "text", "", "what is unusual about the inputs, such as clipping"),
    Column("line", "integer", "", "line of the manifest on which the row starts"),
    Column("ambience", "text", "", "path or URI of the ambience; for an `invalid` row, the cell"),
    Column("music", "text", "", "path or URI of the music; for an `invalid` row, the cell"),
    Column("preset", "text", "", "preset that the settings were taken from"),
    Column("start", "text", "", "starting point of the optimisation"),
    Column("iterations", "integer", "", "steps of the optimisation"),
    Column("seed", "integer", "", "seed of a start from noise"),
    Column("strength_over_time", "text", "", "the curve, if the strength is one"),
    Column("excitation", "number", "", "how much of the ambience's own sound carries the music"),
    Column("timbre", "number", "", "how far the spectrum moves to the ambience's"),
    Column("grain", "number", "", "exponent of the ambience's fast fluctuation"),
    Column("attack", "number", "", "how sharp the music's attacks stay"),
    Column("swell", "number", "", "how much of the ambience's slow movement is heard"),
    Column("wet", "number", "", "share of the transfer; the rest is the music, unchanged"),
    Column("start_s", "number", "s", "where the section of the music begins"),
    Column("duration_s", "number", "s", "length of the file"),
    Column("sample_rate", "integer", "Hz", "sample rate of the file"),
    Column(
        "music_lufs",
        "number",
        "LUFS",
        "integrated loudness (ITU-R BS.1770-4) of the section of the music that was rendered",
    ),
    Column(
        "ambience_lufs",
        "number",
        "LUFS",
        "integrated loudness of the ambience, in mono, played on as many channels as the file has",
    ),
    Column(
        "true_peak_dbtp",
        "number",
        "dBTP",
        "highest true peak (BS.1770-5, annex 2) of the decoded file: at most -1, within 0.1 dB",
    ),
    Column(
        "limited_db",
        "number",
        "dB",
        "largest reduction by the limiter; 0 if the limiter did nothing",
    ),
    Column(
        "loudness_short_db",
        "number",
        "dB",
        "how far `loudness_lufs` is below the requested loudness, or below `music_lufs` if none "
        "was requested; the summary counts the rows where this is more than 0.5",
    ),
    Column(
        "content",
        "number",
        "",
        "how much of the music's harmony, onsets and spectrum remains, from 0 (the ambience) to 1 "
        "(the music); the mean of `chroma`, `onset_correlation` and `spectrum`; these four are "
        "empty if the inputs are too alike for such a scale",
    ),
    Column("chroma", "number", "", "harmony, on the scale of `content`"),
    Column("onset_correlation", "number", "", "rhythm, on the scale of `content`"),
    Column("spectrum", "number", "", "melody, on the scale of `content`"),
    Column("onset_f1", "number", "", "onsets within 50 ms of the music's, 0 to 1"),
    Column(
        "texture",
        "number",
        "",
        "how far the fine grain has moved from the music's (0) to the ambience's (1)",
    ),
    Column(
        "identity",
        "number",
        "",
        "whether the result sounds like the music's instruments (0) or like the ambience (1); a "
        "mix of equal levels has about 0.5; empty if the inputs are too alike",
    ),
    Column(
        "spectrum_moved",
        "number",
        "",
        "how far the long-term spectrum has moved from the music's (0) to the ambience's (1); "
        "empty if both are the same",
    ),
    Column(
        "carrier_db",
        "number",
        "dB",
        "gate: low for a mix, which still contains the music's own signal",
    ),
    Column(
        "follow",
        "number",
        "",
        "gate: low for a mix, whose added sound does not follow the music's dynamics",
    ),
    Column("high_share", "number", "", "share of the energy above 6 kHz"),
    Column(
        "content_loss",
        "number",
        "",
        "loss of the optimisation: 1 at the ambience, 0 at the goal; not a measure of quality",
    ),
    Column(
        "style_loss",
        "number",
        "",
        "loss of the optimisation: 1 at the music, 0 at the goal; not a measure of quality",
    ),
    Column("best_iteration", "integer", "", "step of the optimisation whose result was kept"),
    Column("transfer_seconds", "number", "s", "time to compute the transfer (not from the cache)"),
    Column("invert_seconds", "number", "s", "time to compute the audio (not from the cache)"),
    Column("worker", "text", "", "host and process that reported the row"),
    Column("ended_at", "text", "", "when the row was reported, UTC, ISO 8601"),
    Column("run_id", "text", "", "id of the catalogue's flow run"),
    Column("sha256", "text", "", "sha256 of the file"),
    Column("music_sha256", "text", "", "sha256 of the music file"),
    Column("ambience_sha256", "text", "", "sha256 of each ambience file, joined by ` + `"),
    Column("model_sha256", "text", "", "sha256 of the classifier's weights file"),
)
"""In the order of the tables. The manifest's `note`, `tags` and `x_*` follow them, as text."""


def markdown_table() -> str:
    """Return the table of the documentation."""
    rows = [f"| `{each.name}` | {each.type} | {each.unit} | {each.help} |" for each in COLUMNS]
    return "\n".join(["| column | type | unit | |", "|---|---|---|---|", *rows])
