"""Pictures of a judging, readable in grey: each model has its own marker and line style beside its colour."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from training.judging.answers import MODELS
from training.judging.case_contents import TaskEvidence
from training.judging.curves import Curves, draw_curves
from training.judging.scorecard import Scorecard
from training.svg import as_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STYLES: Final[dict[str, dict[str, Any]]] = {
    "challenger": {"color": "#c2571a", "linestyle": "-", "marker": "o"},
    "champion": {"color": "#1f5f8b", "linestyle": "--", "marker": "s", "markerfacecolor": "white"},
    "reference": {"color": "#444444", "linestyle": ":", "marker": "^", "markerfacecolor": "white"},
}

_MOST_LABELS: Final = 20
"""A picture of more labels than this shows those whose recall changed most."""


def draw_plots(tasks: Mapping[str, TaskEvidence]) -> dict[str, str]:
    """Return the SVGs of a case file by name: ``<task>_risk_coverage``, ``_reliability`` and ``_labels``."""
    plots = {}
    for task, evidence in tasks.items():
        answers = evidence.answers
        curves = {who: draw_curves(answers, who) for who in MODELS if who in answers and not answers[who].null_count()}
        plots[f"{task}_risk_coverage"] = draw_risk(curves)
        plots[f"{task}_reliability"] = draw_reliability(curves)
        if evidence.champion:
            plots[f"{task}_labels"] = draw_label_changes(evidence.challenger, evidence.champion)
    return plots


def draw_risk(curves: Mapping[str, Curves]) -> str:
    """Return an SVG of what share is wrong among the surest answers, over how many are kept; by model."""
    figure, axes = _canvas(3.0)
    for place, (who, found) in enumerate(curves.items()):
        coverage, risk = zip(*((100 * one, 100 * other) for one, other in found.risk_coverage), strict=True)
        every = max(1, len(risk) // 8)
        axes.plot(coverage, risk, markersize=5, markevery=(place * every // 3, every), label=who, **_STYLES[who])
    axes.set_xlim(0, 102)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("answers kept, the surest first, %", fontsize=9)
    axes.set_ylabel("wrong among them, %", fontsize=9)
    axes.legend(frameon=False, fontsize=9)
    return _finish(figure, axes, "Risk by coverage")


def draw_reliability(curves: Mapping[str, Curves]) -> str:
    """Return an SVG of accuracy over mean confidence by bin and model; below, how many answers each bin holds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4.2), layout="constrained")
    axes, counts = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    axes.plot([0, 100], [0, 100], color="#888", linewidth=0.8)
    axes.annotate("as sure as right", (20, 20), (3, -9), textcoords="offset points", fontsize=8, color="#555")
    for who, found in curves.items():
        sure, right, held = zip(*found.reliability, strict=True)
        axes.plot([100 * one for one in sure], [100 * one for one in right], markersize=6, label=who, **_STYLES[who])
        counts.plot([100 * one for one in sure], held, markersize=5, **_STYLES[who])
    axes.set_ylabel("right, %", fontsize=9)
    axes.legend(frameon=False, fontsize=9)
    counts.set_ylabel("answers", fontsize=9)
    counts.set_yscale("symlog", linthresh=10)
    counts.set_ylim(bottom=0)
    counts.set_xlim(0, 102)
    counts.set_xlabel("confidence, %", fontsize=9)
    counts.spines[["top", "right"]].set_visible(False)
    counts.tick_params(labelsize=8)
    return _finish(figure, axes, "Is confidence what it says")


def draw_label_changes(challenger: Scorecard, champion: Scorecard) -> str:
    """Return an SVG of recall by label, champion and challenger, those that changed most; with test cases."""
    changes = _list_changes(challenger, champion)
    shown = changes.head(_MOST_LABELS).sort("change")
    figure, axes = _canvas(1.3 + 0.24 * max(3, shown.height))
    for place, (_, before, after, *_rest) in enumerate(shown.iter_rows()):
        axes.plot([before, after], [place, place], "-", color="#888", linewidth=1)
    for who, column in (("champion", "before"), ("challenger", "after")):
        axes.plot(shown[column], range(shown.height), markersize=6, label=who, **{**_STYLES[who], "linestyle": ""})
    names = [f"{label.replace('_', ' ')} ({cases})" for label, cases in shown.select("label", "cases").iter_rows()]
    axes.set_yticks(range(shown.height), names, fontsize=8)
    axes.set_xlim(right=103)
    axes.set_xlabel("recall, % (behind each label: its test cases)", fontsize=9)
    axes.grid(axis="x", alpha=0.25)
    figure.legend(frameon=False, fontsize=9, ncols=2, loc="outside lower left")
    if shown.is_empty():
        axes.text(0.5, 0.5, "no label's recall changed", transform=axes.transAxes, ha="center")
    left_out = f", the {shown.height} of {changes.height} that changed most" if shown.height < changes.height else ""
    return _finish(figure, axes, f"Recall by label{left_out}")


def _list_changes(challenger: Scorecard, champion: Scorecard) -> pl.DataFrame:
    """Return ``label, before, after`` (%), ``cases, change`` of the labels whose recall changed, most first."""
    rows = []
    for label, score in challenger.labels.items():
        former = champion.labels.get(label)
        if former and score.recall is not None and former.recall is not None and score.recall != former.recall:
            rows.append((label, 100 * former.recall, 100 * score.recall, score.support))
    schema = {"label": pl.String, "before": pl.Float64, "after": pl.Float64, "cases": pl.Int64}
    changes = pl.DataFrame(rows, schema=schema, orient="row").with_columns(change=pl.col("after") - pl.col("before"))
    return changes.sort(pl.col("change").abs(), "label", descending=[True, False])


def _canvas(height: float) -> tuple["Figure", "Axes"]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, height), layout="constrained")
    return figure, figure.subplots()


def _finish(figure: "Figure", axes: "Axes", title: str) -> str:
    axes.set_title(title, loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    return as_svg(figure, title)
