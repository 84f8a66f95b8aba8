"""The command for one pair of files: no manifest, no server."""

import json as to_json
import sys
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flows.cli.options import field_help
from nst_core.config import (
    DEFAULT_PRESET,
    DEFAULT_STRENGTH,
    SUBTYPES,
    OutputConfig,
    check_strength,
)
from nst_core.config import (
    preset as preset_named,
)
from nst_core.errors import ConfigError

if TYPE_CHECKING:
    from nst_core.config import AudioFormat


def transfer(
    ambience: str,
    music: str,
    *,
    output: Annotated[str, Parameter(name=["--output", "-o"])],
    strength: float = DEFAULT_STRENGTH,
    preset: str = DEFAULT_PRESET,
    seed: int | None = None,
    start: float = 0.0,
    duration: float | None = None,
    sample_rate: int = OutputConfig.sample_rate,
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
        File for the result: .wav, .flac or .ogg. An existing file is replaced.
    strength
        0 (the music) to 1 (the ambience plays it).
    preset
        real, fast (fewer steps), quality (more steps), closed (no steps), mel or original.
    seed
        Seed of a start from noise.
    start
        Where the section of the music begins, in seconds.
    duration
        Length of the section of the music in seconds; by default up to its end.
    sample_rate
        Sample rate of the result in Hz.
    picture
        PNG file for a picture of the mels of ambience, music and result.
    json
        Print the figures as one line of JSON to stdout.
    """
    check_strength(strength)
    config = preset_named(preset, **({} if seed is None else {"seed": seed}))
    sound = OutputConfig(format=_format_of(output), sample_rate=sample_rate)
    from flows.settings import Settings
    from tasks.single import SinglePair, render_single

    pair = SinglePair(
        ambience=ambience, music=music, output=output, config=config, strength=strength,
        sound=sound, start_s=start, duration_s=duration, model=model, picture=picture,
    )  # fmt: skip
    sys.stderr.write("rendering\n")
    figures, warnings = render_single(pair, Settings().workspace())
    for warning in warnings:
        sys.stderr.write(f"{warning}\n")
    sys.stderr.write(f"{_told(figures, strength)}\n")
    print(to_json.dumps(figures) if json else output)
    return 0


def _format_of(output: str) -> "AudioFormat":
    suffix = output.rpartition(".")[2].lower()
    for each in SUBTYPES:
        if suffix == each:
            return each
    raise ConfigError(f"output {output!r} must end in .{', .'.join(SUBTYPES)}")


def _told(figures: dict[str, Any], strength: float) -> str:
    from tasks.report.words import in_words

    return (
        f"{figures['duration_s']:.1f} s, {figures['loudness_lufs']:.1f} LUFS: "
        f"{in_words(figures, strength)}\n"
        f"content {figures['content']:.2f}, texture {figures['texture']:.2f}, "
        f"carrier {figures['carrier_db']:.1f} dB, follow {figures['follow']:.2f}"
    )
