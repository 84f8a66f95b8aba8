"""The commands that start from sound files: one pair, or a plan of every pair."""

import dataclasses
import hashlib
import io
import json as to_json
import shlex
import sys
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flows.cli.options import Globs, RenderOptions, Sets, Values, field_help
from nst_core.config import (
    DEFAULT_PRESET,
    DEFAULT_STRENGTH,
    AudioFormat,
    OutputConfig,
    Strength,
    StrengthCurve,
    check_strength,
    format_of,
)
from nst_core.config import (
    preset as preset_named,
)
from nst_core.errors import ConfigError

if TYPE_CHECKING:
    from tasks.manifest.row import ManifestRow
    from tasks.manifest.settings import Settings


def transfer(
    ambience: str,
    music: str,
    *,
    output: Annotated[str, Parameter(name=["--output", "-o"])],
    strength: Strength = DEFAULT_STRENGTH,
    preset: str = DEFAULT_PRESET,
    excitation: Annotated[float | None, field_help("excitation")] = None,
    timbre: Annotated[float | None, field_help("timbre")] = None,
    grain: Annotated[float | None, field_help("grain")] = None,
    attack: Annotated[float | None, field_help("attack")] = None,
    swell: Annotated[float | None, field_help("swell")] = None,
    wet: Annotated[float | None, field_help("wet")] = None,
    seed: int | None = None,
    start: float = 0.0,
    duration: float | None = None,
    sample_rate: int | None = OutputConfig.sample_rate,
    model: Annotated[str | None, field_help("model")] = None,
    picture: str | None = None,
    json: bool = False,
) -> int:
    """Let an ambience play a piece of music: two sound files, one result.

    Parameters
    ----------
    ambience
        Sound file of the ambience, as a path or s3:// URI.
    music
        Sound file of the music.
    output
        File for the result: .wav, .flac, .mp3, .ogg or .opus. An existing file is replaced.
    strength
        0 (the music) to 1 (the ambience plays it), or a curve such as 0:0.2;30:0.8.
    preset
        real, closed (faster), classifier, mel or original.
    seed
        Seed of a start from noise.
    start
        Where the section of the music begins, in seconds.
    duration
        Length of the section of the music in seconds; by default up to its end.
    sample_rate
        Sample rate of the result in Hz; by default that of the music, at most 48000.
    picture
        PNG file for a picture of the mels of ambience, music and result.
    json
        Print the figures as one line of JSON to stdout.
    """
    check_strength(strength)
    given = {
        "seed": seed, "excitation": excitation, "timbre": timbre, "grain": grain,
        "attack": attack, "swell": swell, "wet": wet,
    }  # fmt: skip
    set_here = {name: value for name, value in given.items() if value is not None}
    config = preset_named(preset, **set_here)
    sound = OutputConfig(format=format_of(output), sample_rate=sample_rate)
    from flows.cli.screen import working

    with working("rendering"):
        from flows.settings import Settings
        from tasks.single import SinglePair, render_single

        pair = SinglePair(
            ambience=ambience, music=music, output=output, config=config, strength=strength,
            sound=sound, start_s=start, duration_s=duration, model=model, picture=picture,
        )  # fmt: skip
        figures, warnings = render_single(pair, Settings().workspace())
    for warning in warnings:
        sys.stderr.write(f"{warning}\n")
    sys.stderr.write(f"{_told(figures, strength)}\n")
    if _is_doubtful(figures, strength):
        compare = shlex.join(["amnst", "audition", ambience, music])
        sys.stderr.write(f"to compare strengths and presets: {compare}\n")
    print(to_json.dumps(figures) if json else output)
    return 0


def plan(
    *,
    ambience: Globs,
    music: Globs,
    preset: Values = None,
    strength: Values = None,
    settings: Sets = None,
    format: AudioFormat = OutputConfig.format,  # noqa: A002
) -> int:
    """Write a manifest to stdout that pairs every ambience with every piece of music.

    Save it in the current folder, because its paths are relative to that folder.

    Parameters
    ----------
    ambience
        Files, folders or quoted patterns such as 'rain/*.wav'. A folder means all its sounds.
        Ambiences joined by ' + ' sound at once; each match of one pattern is combined with each
        match of the next. 'rain/*.wav*2 + wind/*.wav' gives twice as much rain as wind.
    music
        Files, folders or quoted patterns such as 'songs/*.flac'.
    preset
        Presets; several make a row of each.
    strength
        Strengths; several make a row of each.
    settings
        Cells for all rows, such as loudness_lufs=-18; several values of a column make a row of
        each.
    format
        Format of the output files.
    """
    from tasks.manifest.planning import write_manifest

    given = _settings(settings, preset=preset, strength=strength)
    write_manifest(_planned(ambience, music, format, given), sys.stdout)
    return 0


def plan_here(
    ambience: list[str] | None,
    music: list[str] | None,
    settings: list[str] | None,
    options: RenderOptions,
) -> tuple[str, RenderOptions]:
    """Write the plan of these pairs to the output folder; return its path, and the options.

    A plan of other pairs, or one that somebody has edited, is kept beside it. The folders of the
    inputs, which the user has named, become input roots.
    """
    if not ambience or not music:
        raise ConfigError("name a manifest, before the options, or both --ambience and --music")
    from tasks.manifest.planning import write_manifest
    from tasks.storage.uris import absolute, join

    several = {
        name: values
        for name, values in (("preset", options.preset), ("strength", options.strength))
        if values and len(values) > 1
    }
    given = _settings(settings, **several)
    rows = _planned(ambience, music, options.format, given, absolutely=True)
    text = io.StringIO()
    write_manifest(rows, text)
    manifest = join(absolute(options.output), "manifest.csv")
    _write_and_keep(manifest, text.getvalue().encode())
    places = {place for row in rows for place in (*row.ambience.places, row.music)}
    folders = sorted({place.rpartition("/")[0] or "/" for place in places})
    roots = [*(options.input_root or []), *folders]
    single: dict[str, Any] = dict.fromkeys(several)
    return manifest, dataclasses.replace(options, input_root=roots, **single)


def _write_and_keep(manifest: str, data: bytes) -> None:
    """Write a manifest; a different one of this name is kept under a name with its hash."""
    from tasks.storage.files import read_if_present, write_bytes

    earlier = read_if_present(manifest)
    if earlier == data:
        return
    if earlier is not None:
        digest = hashlib.sha256(earlier).hexdigest()[:8]
        kept = f"{manifest.removesuffix('.csv')}-{digest}.csv"
        write_bytes(kept, earlier)
        sys.stderr.write(f"the earlier manifest of this folder is kept as {kept}\n")
    write_bytes(manifest, data)


def _settings(texts: list[str] | None, **columns: list[str] | None) -> "Settings":
    """Return the values of each column, from --set and from a column's own option."""
    from tasks.manifest.settings import read_settings

    found = read_settings(texts or ())
    for name, values in columns.items():
        if values and name in found:
            raise ConfigError(f"--set {name}=... and --{name} are both given; give one of them")
        found |= {name: values} if values else {}
    return found


def _planned(
    ambience: list[str],
    music: list[str],
    format_: AudioFormat,
    settings: "Settings",
    *,
    absolutely: bool = False,
) -> "list[ManifestRow]":
    from tasks.manifest.planning import expand_ambiences, expand_globs, plan_rows

    return plan_rows(
        expand_ambiences(ambience, absolutely=absolutely),
        expand_globs(music, absolutely=absolutely),
        default_format=format_,
        settings=settings,
    )


def _told(figures: dict[str, Any], strength: Strength) -> str:
    from tasks.report.words import in_words

    mean_strength = StrengthCurve.of(strength).mean(figures["duration_s"])
    content, identity = (
        "unknown" if figures[name] is None else f"{figures[name]:.2f}"
        for name in ("content", "identity")
    )
    return (
        f"{figures['duration_s']:.1f} s, {figures['loudness_lufs']:.1f} LUFS: "
        f"{in_words(figures, mean_strength)}\n"
        f"content {content}, texture {figures['texture']:.2f}, identity {identity}, "
        f"carrier {figures['carrier_db']:.1f} dB, follow {figures['follow']:.2f}"
    )


def _is_doubtful(figures: dict[str, Any], strength: Strength) -> bool:
    from tasks.report.words import doubt

    return bool(doubt(figures, StrengthCurve.of(strength).mean(figures["duration_s"])))
