"""Model card: the training data of a classifier, and its accuracy.

`nst_core.classifier.saving.save_classifier` writes the facts as JSON; this module turns them into
a page and two pictures. `librosa.display` does not fit: the pictures show no sound or spectrogram.
"""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

_PAGE = """\
# Model card: {name}

A genre classifier with {n_layers} convolutions ({kind}, {n_filters} filters of width
{kernel_size}; {n_parameters:,} parameters), trained by `amnst train`. The transfer
uses its low layers; it is not meant for serious genre recognition.

| | |
|---|---|
| weights | `{weights}`, sha256 `{sha256}` |
| genres | {genres} |
| data | {dataset} |
| licence of the data | {licence} |
| split | by {by}: {n_train} tracks for training, {n_validation} for choosing the epoch |
| seed | {seed} |
| kept weights | epoch {best_epoch} of {n_epochs}, best validation accuracy per segment |
| validation, per segment | {segment_accuracy:.3f} of {n_segments} |
| validation, per track | {track_accuracy:.3f} of {n_tracks}, 95 % from {low:.3f} to {high:.3f} |
| versions | {versions} |

The epoch was chosen on the validation tracks, so these figures are slightly optimistic.

![Confusion matrix]({stem}.confusion.png)
![Training curves]({stem}.curves.png)
"""


def write_card(folder: Path, stem: str, card: dict[str, Any]) -> None:
    """Write ``stem.md`` and its pictures.

    Parameters
    ----------
    folder
        Folder of the weights.
    stem
        Name of the weights without ``.weights.h5``.
    card
        JSON card of `nst_core.classifier.saving.save_classifier`, with the facts that
        `nst_core.classifier.training.train_and_save` adds.
    """
    architecture, validation = card["architecture"], card["validation"]
    low, high = validation["track_interval"]
    page = _PAGE.format(
        name=stem,
        stem=stem,
        n_layers=architecture["n_layers"],
        kind=architecture["kind"],
        n_filters=architecture["n_filters"],
        kernel_size=architecture["kernel_size"],
        n_parameters=card["n_parameters"],
        weights=card["weights"],
        sha256=card["sha256"],
        genres=", ".join(card["genres"]),
        dataset=card["dataset"],
        licence=card["licence"],
        by=card["split"]["by"],
        n_train=len(card["split"]["train_tracks"]),
        n_validation=len(card["split"]["validation_tracks"]),
        seed=card["training"]["seed"],
        best_epoch=card["best_epoch"] + 1,
        n_epochs=len(card["history"]),
        segment_accuracy=validation["segment_accuracy"],
        n_segments=validation["n_segments"],
        track_accuracy=validation["track_accuracy"],
        n_tracks=validation["n_tracks"],
        low=low,
        high=high,
        versions=", ".join(f"{name} {version}" for name, version in card["versions"].items()),
    )
    (folder / f"{stem}.md").write_text(page, "utf-8")
    _draw_confusion(folder / f"{stem}.confusion.png", card)
    _draw_curves(folder / f"{stem}.curves.png", card)


def _draw_confusion(path: Path, card: dict[str, Any]) -> None:
    counts = np.array(card["validation"]["confusion"])
    figure = Figure(figsize=(4.5, 4), layout="constrained")
    axes = figure.subplots()
    axes.imshow(counts, cmap="Blues")
    axes.set_xticks(range(len(counts)), card["genres"], rotation=45, ha="right")
    axes.set_yticks(range(len(counts)), card["genres"])
    axes.set(xlabel="found", ylabel="true", title="Validation tracks")
    for (row, column), count in np.ndenumerate(counts):
        shade = "white" if count > counts.max() / 2 else "black"
        axes.text(column, row, str(count), ha="center", va="center", color=shade)
    figure.savefig(path, dpi=100)


def _draw_curves(path: Path, card: dict[str, Any]) -> None:
    history = card["history"]
    epochs = [record["epoch"] + 1 for record in history]
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    for axes, quantity in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        axes.plot(epochs, [record[quantity] for record in history], label="training, augmented")
        axes.plot(epochs, [record[f"val_{quantity}"] for record in history], label="validation")
        axes.axvline(card["best_epoch"] + 1, color="grey", linestyle=":", label="kept")
        axes.set(xlabel="epoch", ylabel=f"{quantity} per segment")
        axes.legend()
    figure.savefig(path, dpi=100)
