"""Pictures of the benchmark of sound."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np

from nst_core.classifier.saving import load_classifier
from nst_core.metrics.small_picture import draw_small
from nst_core.transfer.analysis import analyse
from tests.benchmarks.pairs import Pair

mpl.use("Agg")
from matplotlib import pyplot as plt

MARGIN = 24


def plot_plane(path: Path, results: dict) -> None:
    """Draw the mean content and texture of each method."""
    figure, axes = plt.subplots(figsize=(7, 5), layout="constrained")
    methods = {name: found["pairs"] for name, found in results.items() if "pairs" in found}
    by_texture = sorted(methods, key=lambda name: np.mean([r["texture"] for r in methods[name]]))
    for number, name in enumerate(by_texture):
        keys = ("content", "texture", "carrier_db")
        *means, carrier = (np.mean([row[k] for row in methods[name]]) for k in keys)
        axes.scatter(*means, s=30, color="C2" if carrier >= 4 else "C3")
        side = {"xytext": (-5, -3), "ha": "right"} if number % 2 else {"xytext": (5, -3)}
        axes.annotate(name, means, textcoords="offset points", fontsize=8, **side)
    axes.axvline(0.65, lw=0.5, color="grey")
    axes.axhline(0.75, lw=0.5, color="grey")
    axes.set(xlabel="content C (1: the music)", ylabel="texture dTM (1: the ambience)")
    axes.set_title("green: a carrier of its own; red: the music's own signal", fontsize=9)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def plot_mels(path: Path, pairs: Sequence[Pair], rendered: Sequence[np.ndarray]) -> None:
    """Draw four seconds of the mels of pairs at the classifier's rate, a column for each pair."""
    mel = load_classifier().mel
    figure, axes = plt.subplots(3, len(pairs), figsize=(5 * len(pairs), 8), layout="constrained")
    for column, (pair, y) in enumerate(zip(pairs, rendered, strict=True)):
        sounds = {"ambience": pair.ambience, "music": pair.music, "real, strength 1": y}
        for row, (title, sound) in enumerate(sounds.items()):
            M = analyse(sound, mel, name=title).M[:, : 4 * mel.sr // mel.hop_length]
            axes[row, column].imshow(
                10 * np.log10(M + 1e-7), origin="lower", aspect="auto", vmin=-60, vmax=0
            )
            axes[row, column].set_title(f"{pair.name}: {title}", fontsize=15)
            axes[row, column].axis("off")
    figure.savefig(path, dpi=80)
    plt.close(figure)


def shrink(picture: Path, smaller: Path) -> None:
    """Write a copy for the README, in half the size and 64 colours."""
    from PIL import Image  # comes with matplotlib

    with Image.open(picture) as image:
        reduced = image.convert("RGB").reduce(2).quantize(64, dither=Image.Dither.NONE)
        reduced.save(smaller, optimize=True)


def draw_sheet(
    path: Path, pairs: Sequence[Pair], rendered: Sequence[np.ndarray], captions: Sequence[str]
) -> None:
    """Write a contact sheet: waveform and mel of music, ambience and result, two pairs a row.

    Each picture is the listening page's, with the music above, the ambience in the middle, the
    result below, and a caption.
    """
    from PIL import Image, ImageDraw

    pictures, file = [], path.with_suffix(".webp")
    for pair, y in zip(pairs, rendered, strict=True):
        draw_small(file, [pair.music, pair.ambience, y], pair.sr)
        with Image.open(file) as image:
            pictures.append(image.convert("RGB"))
    file.unlink(missing_ok=True)
    width, height = pictures[0].width + MARGIN, pictures[0].height + 2 * MARGIN
    sheet = Image.new("RGB", (2 * width, (len(pictures) + 1) // 2 * height), "white")
    draw = ImageDraw.Draw(sheet)
    for i, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        x, y0 = i % 2 * width + MARGIN // 2, i // 2 * height
        draw.text((x, y0 + 4), caption, fill="black")
        sheet.paste(picture, (x, y0 + 2 * MARGIN - 8))
    sheet.save(path, optimize=True)
