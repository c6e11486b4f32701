"""Pictures of a training: its curves, and what it mixes up on dev."""

from math import isfinite
from typing import TYPE_CHECKING, Final

import dagster as dg
import numpy as np

from assets.review_plots import as_markdown
from training.svg import as_svg

if TYPE_CHECKING:
    from training.candidate import Candidate
    from training.finetune import Epoch

_COLOUR: Final = "#1f5f8b"
_OTHER: Final = "#c2571a"
_MOST_LABELS: Final = 25
"""A confusion of more labels than this shows those that are mixed up most."""

CONFUSION: Final = "confusion_dev.csv"


def training_plots(made: "Candidate") -> dict[str, dg.MetadataValue]:
    """Return the pictures that the page of a candidate shows; none of what was not measured."""
    plots: dict[str, dg.MetadataValue] = {}
    if len(made.curves) > 1:
        plots["curves"] = dg.MetadataValue.md(as_markdown(draw_curves(made.curves), "Training curves"))
    if made.confusion is not None:
        plots["confusion"] = dg.MetadataValue.md(as_markdown(draw_confusion(made.labels, made.confusion), "Confusion"))
    return plots


def draw_curves(curves: "tuple[Epoch, ...]") -> str:
    """Return an SVG: training and dev loss by epoch, and beside them dev accuracy where it was measured."""
    from matplotlib.figure import Figure

    is_measured = any(isfinite(epoch.dev_accuracy) for epoch in curves)
    figure = Figure(figsize=(8 if is_measured else 4.5, 2.6), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, 2 if is_measured else 1))
    epochs = [epoch.epoch for epoch in curves]
    axes[0].plot(epochs, [epoch.train_loss for epoch in curves], "o-", color=_COLOUR, markersize=3, label="training")
    if is_measured:
        axes[0].plot(epochs, [epoch.dev_loss for epoch in curves], "s--", color=_OTHER, markersize=3, label="dev")
        axes[0].legend(frameon=False, fontsize=8)
        axes[1].plot(epochs, [100 * epoch.dev_accuracy for epoch in curves], "s--", color=_OTHER, markersize=3)
        axes[1].set_title("dev accuracy, %", loc="left", fontsize=10)
    axes[0].set_title("loss, nats", loc="left", fontsize=10)
    for each in axes:
        each.set_xlabel("epoch (0: the start)", fontsize=9)
        each.xaxis.get_major_locator().set_params(integer=True)
        each.tick_params(labelsize=9)
        each.spines[["top", "right"]].set_visible(False)
    return as_svg(figure, "Loss and dev accuracy by epoch")


def draw_confusion(labels: tuple[str, ...], counts: np.ndarray) -> str:
    """Return an SVG of which label (down) was answered how (across), in shares of each row.

    Args:
        labels: (k,).
        counts: (k, k); of more than 25 labels those with the most mistakes are shown.
    """
    from matplotlib.figure import Figure

    mistakes = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
    shown = np.sort(np.argsort(-mistakes, kind="stable")[:_MOST_LABELS])
    part, names = counts[np.ix_(shown, shown)], [labels[place].replace("_", " ") for place in shown]
    shares = part / np.maximum(counts[shown].sum(axis=1, keepdims=True), 1)
    side = 2.2 + 0.24 * len(names)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Greys", vmin=0, vmax=1)
    for row, column in np.argwhere(part):
        ink = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, str(part[row, column]), ha="center", va="center", fontsize=7, color=ink)
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_xlabel("answered", fontsize=9)
    axes.set_ylabel("true", fontsize=9)
    left_out = f", the {len(shown)} of {len(labels)} labels mixed up most" if len(shown) < len(labels) else ""
    axes.set_title(f"Dev texts{left_out}", loc="left", fontsize=10)
    return as_svg(figure, "Confusion on dev")


def confusion_document(made: "Candidate") -> dict[str, str]:
    """Return the confusion as a CSV document and its picture, for the run's record; nothing where dev chose nothing."""
    if made.confusion is None:
        return {}
    lines = [",".join(("true \\ answered", *made.labels))]
    lines += [",".join((label, *map(str, row))) for label, row in zip(made.labels, made.confusion, strict=True)]
    drawn = draw_confusion(made.labels, made.confusion)
    return {CONFUSION: "\n".join(lines) + "\n", CONFUSION.replace(".csv", ".svg"): drawn}
