"""Build a listening test: a folder for listeners, and a key for whoever counts their answers."""

import secrets
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nst_core import ALGORITHM_VERSION
from nst_core.arrays import FloatArray
from nst_core.audio.alike import shared_loudness, write_alike
from nst_core.config import DEFAULT_PRESET, DEFAULT_STRENGTH, MelConfig, check_strength
from nst_core.errors import ConfigError, NSTError
from tasks.model import fetch_model, load_model
from tasks.panel.conditions import make_conditions
from tasks.panel.errors import PanelError
from tasks.panel.key import Key, KeyPair, key_text
from tasks.panel.page.writing import PAGE, SOUNDS, Trial, render_page
from tasks.panel.pairs import Source
from tasks.panel.questions import AMBIENCE, MUSIC, titles
from tasks.running.workspace import Workspace
from tasks.storage.errors import reported
from tasks.storage.files import create, delete
from tasks.storage.uris import is_remote, local

MOST_PAIRS = 40
"""Nobody listens to more, and all sounds are in memory until their common loudness is known."""
_MOST_STRENGTHS = 4
FOLDER, KEY = "page", "key.json"


@dataclass(frozen=True, kw_only=True)
class PanelOptions:
    """How the transfers of a test are rendered, and the licence that its page names."""

    strengths: tuple[float, ...] = (DEFAULT_STRENGTH, 1.0)
    preset: str = DEFAULT_PRESET
    model: str | None = None
    licence: str = ""

    def __post_init__(self) -> None:
        for each in self.strengths:
            check_strength(each)
        n = len(self.strengths)
        if not 1 <= n <= _MOST_STRENGTHS or len(set(self.strengths)) < n or 0 in self.strengths:
            given = ", ".join(f"{each:g}" for each in self.strengths)
            raise ConfigError(
                f"strengths {given}: give one to {_MOST_STRENGTHS} different numbers above 0, "
                "up to 1"
            )


class Panel(NamedTuple):
    """What was built: the page, the key, its pairs, and the pairs that were left out."""

    page: Path
    key: Path
    n_pairs: int
    left_out: dict[str, NSTError]


def build_panel(
    sources: Sequence[Source],
    output: str,
    workspace: Workspace,
    options: PanelOptions,
    *,
    tell: Callable[[str], None],
) -> Panel:
    """Render all pairs and write the test: the folder ``page``, and ``key.json`` beside it.

    A pair that fails is left out. Nothing is visible before everything is written.

    Parameters
    ----------
    output
        Local folder without a test in it.
    tell
        Gets a line of progress for each pair.

    Raises
    ------
    ConfigError
        ``bad_output``, ``panel_exists``: a key that is replaced makes all answers worthless.
    PanelError
        ``no_pairs``: there is none, or all fail; ``too_many_pairs``.
    ModelError, StorageError
    """
    folder = _free_folder(output)
    if len(sources) > MOST_PAIRS:
        raise PanelError(
            f"{len(sources)} pairs are too many: nobody rates more than {MOST_PAIRS}; shorten the "
            "manifest, or switch rows off in the column enabled",
            code="too_many_pairs",
        )
    made, left_out = _render(sources, workspace, options, tell)
    with reported(str(folder), "write"):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".panel-", dir=folder) as unfinished:
            page = Path(unfinished, FOLDER)
            (page / SOUNDS).mkdir(parents=True)
            key, trials = _write_sounds(made, page / SOUNDS, options, left_out)
            if not trials:
                raise _no_pairs(left_out)
            (page / PAGE).write_bytes(render_page(trials, panel=key.panel, licence=options.licence))
            _appear(page, folder, key)
    return Panel(folder / FOLDER / PAGE, folder / KEY, len(trials), left_out)


def _no_pairs(left_out: dict[str, NSTError]) -> PanelError:
    why = "; ".join(f"{name}: {error}" for name, error in left_out.items())
    return PanelError(why or "there is no enabled pair; add one to the manifest", code="no_pairs")


def _free_folder(output: str) -> Path:
    if is_remote(output):
        raise ConfigError(
            f"--output {output}: a listening test is built in a local folder; copy its folder "
            f"{FOLDER} to the bucket afterwards",
            code="bad_output",
        )
    folder = local(output)
    for name in (FOLDER, KEY):
        if (folder / name).exists():
            raise _taken(folder / name)
    return folder


def _taken(path: Path) -> ConfigError:
    return ConfigError(
        f"{path} exists: a new test would make the answers to the old one worthless; name another "
        "folder with --output",
        code="panel_exists",
    )


def _render(
    sources: Sequence[Source],
    workspace: Workspace,
    options: PanelOptions,
    tell: Callable[[str], None],
) -> tuple[dict[Source, dict[str, FloatArray]], dict[str, NSTError]]:
    model = fetch_model(options.model, workspace)
    load_model(model, workspace)
    from nst_core.classifier.saving import load_classifier  # noqa: PLC0415  # TensorFlow takes seconds

    classifier = load_classifier(model.path)
    made: dict[Source, dict[str, FloatArray]] = {}
    left_out: dict[str, NSTError] = {}
    for number, source in enumerate(sources, 1):
        tell(f"{number} of {len(sources)}: {source.id}")
        try:
            pair = source.load(classifier.mel, workspace)
            sounds = make_conditions(
                pair, options.strengths, classifier, n_threads=workspace.n_threads
            )
            shared_loudness(sounds.values(), classifier.mel.sr)  # refuses silence
        except NSTError as error:
            left_out[source.id] = error
            tell(f"{source.id}: left out: {error} [{error.code}]")
        else:
            made[source] = sounds
    return made, left_out


def _write_sounds(
    made: dict[Source, dict[str, FloatArray]],
    folder: Path,
    options: PanelOptions,
    left_out: dict[str, NSTError],
) -> tuple[Key, list[Trial]]:
    """Write all sounds at one loudness under random names; return the key and the trials."""
    sr = MelConfig.sr
    everything = [y for sounds in made.values() for y in sounds.values()]
    lufs = shared_loudness(everything, sr)
    rng = np.random.default_rng(secrets.randbits(128))
    pairs, trials = [], []
    for source, sounds in made.items():
        hidden = {secrets.token_hex(8): condition for condition in sounds}
        music, ambience = secrets.token_hex(8), secrets.token_hex(8)
        wanted = {**hidden, music: MUSIC, ambience: AMBIENCE}
        try:
            for name, condition in wanted.items():
                write_alike(folder / f"{name}.flac", sounds[condition], sr, lufs, rng)
        except NSTError as error:
            left_out[source.id] = error
            for name in wanted:
                (folder / f"{name}.flac").unlink(missing_ok=True)
            continue
        own = secrets.token_hex(8)
        by_name = dict(sorted(hidden.items()))
        pairs.append(
            KeyPair(pair=own, id=source.id, ambience=source.ambience, music=source.music,
                    sounds=by_name)
        )  # fmt: skip
        trials.append(Trial(own, music, ambience, tuple(by_name)))
    key = Key.model_construct(
        panel=secrets.token_hex(8),
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        algorithm_version=ALGORITHM_VERSION,
        loudness_lufs=round(lufs, 2),
        licence=options.licence,
        conditions=titles(options.strengths),
        pairs=tuple(pairs),
    )
    return key, sorted(trials)


def _appear(page: Path, folder: Path, key: Key) -> None:
    """Let key and page appear; a page without its key would be worthless."""
    place = str(folder / KEY)
    if not create(place, key_text(key).encode()):
        raise _taken(folder / KEY)
    try:
        page.rename(folder / FOLDER)
    except OSError:
        delete(place)
        raise
