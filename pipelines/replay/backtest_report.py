"""What a backtest came to: the figures as JSON, a table, one sentence on what to use, and the learning curves."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from training.backtest import STRATEGIES, UNIFORM
from training.learning_curve import (
    LEVELS,
    Curve,
    Estimate,
    find_worst_gap,
    labels_at_least,
    labels_to,
    mean_with_interval,
    ratio_with_interval,
)

_DECIDING: Final = "0.95"
"""The level by which strategies are compared."""

_HARM: Final = 1.0
"""Points of accuracy below uniform labels, at any budget, from which a strategy is not recommended."""

_COLOURS: Final = {
    "uniform": "#6b6b6b",
    "margin": "#b08d1e",
    "entropy": "#5d8a3c",
    "badge": "#7a4fa3",
    "cover": "#c2571a",
    "graph": "#7a9cb8",
    "system": "#1f5f8b",
}


def describe(curves: Mapping[str, Sequence[Curve]], *, file: str, rows: int, classes: int) -> dict[str, Any]:
    """Return all figures, ready for JSON.

    ``labels`` is the mean over seeds of the first budget from which accuracy stays at or above the level's share of
    full-data accuracy; ``ratio`` is that over uniform's. ``seeds_short`` counts seeds that never stayed there and count
    with their last budget: such figures are lower bounds, and such a strategy is not advised. Intervals are 95%, null
    with one seed. ``worst_gap`` is the least difference to uniform in points from one text a label on, at the budget
    named.

    Args:
        curves: a curve a seed, by strategy; ``uniform`` among them.
        file: what to call the data.
        rows: how many texts it has.
        classes: how many labels.
    """
    base = curves[UNIFORM]
    report: dict[str, Any] = {
        "file": file,
        "rows": rows,
        "labels": classes,
        "pool": base[0].pool,
        "seeds": len(base),
        "full_accuracy": asdict(mean_with_interval([curve.full for curve in base])),
        "strategies": {name: _describe_one(name, played, base, classes) for name, played in curves.items()},
    }
    return report | {"use": _choose(report), "says": recommend(report)}


def _describe_one(name: str, curves: Sequence[Curve], base: Sequence[Curve], classes: int) -> dict[str, Any]:
    levels = {}
    for level in LEVELS:
        spent, uniform = ([labels_at_least(curve, level) for curve in arm] for arm in (curves, base))
        levels[f"{level:.2f}"] = {
            "labels": asdict(mean_with_interval(spent)),
            "ratio": asdict(ratio_with_interval(spent, uniform)),
            "seeds_short": sum(labels_to(curve, level) is None for curve in curves),
        }
    return {
        "what": STRATEGIES[name].text,
        "levels": levels,
        "worst_gap": asdict(find_worst_gap(curves, base, least=classes)),
        "curves": [{"budgets": curve.budgets, "accuracies": curve.accuracies} for curve in curves],
    }


def _choose(report: Mapping[str, Any]) -> str:
    """Return the strategy with the least labels of those that are shown to save some and harm nowhere."""
    ratios = {}
    for name, found in report["strategies"].items():
        level = found["levels"][_DECIDING]
        ratio = Estimate(**level["ratio"])
        is_better = not level["seeds_short"] and (ratio.value if ratio.high is None else ratio.high) < 1
        if name != UNIFORM and is_better and found["worst_gap"]["points"] >= -_HARM:
            ratios[name] = ratio.value
    return min(ratios, key=lambda name: ratios[name], default=UNIFORM)


def recommend(report: Mapping[str, Any]) -> str:
    """Return one sentence that says which strategy to use, and why."""
    name = _choose(report)
    if name == UNIFORM:
        return (
            f"Use uniform: no strategy reached 95% of full-data accuracy with surely fewer labels without falling more "
            f"than {_HARM:g} point below it."
        )
    found = report["strategies"][name]
    level = found["levels"][_DECIDING]
    return (
        f"Use {name} ({found['what']}): {level['labels']['value']:,.0f} labels reach 95% of full-data accuracy, "
        f"{level['ratio']['value']:.2f} times what uniform labels need."
    )


def table_rows(report: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return the headings and a row for each strategy."""
    heads = ["strategy", *(f"to {float(level):.0%}" for level in LEVELS), "× uniform at 95%", "worst beside uniform"]
    return heads, [_row(name, found) for name, found in report["strategies"].items()]


def _row(name: str, found: Mapping[str, Any]) -> list[str]:
    spent = [
        (">" if level["seeds_short"] else "") + f"{level['labels']['value']:,.0f}" for level in found["levels"].values()
    ]
    ratio, gap = found["levels"][_DECIDING]["ratio"], found["worst_gap"]
    reach = "" if ratio["low"] is None else f" ({ratio['low']:.2f} to {ratio['high']:.2f})"
    worst = "–" if name == UNIFORM else f"{gap['points']:+.1f} points at {gap['budget']:,}"
    return [name, *spent, f"{ratio['value']:.2f}{reach}", worst]


def write_report(report: Mapping[str, Any], path: Path) -> None:
    """Write ``report`` to ``path`` as JSON."""
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def plot_curves(curves: Mapping[str, Sequence[Curve]], path: Path) -> None:
    """Draw accuracy over labels, each seed thin, the mean over seeds thick, to ``path`` (.svg)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    full = float(np.mean([curve.full for curve in next(iter(curves.values()))]))
    for name, played in curves.items():
        for curve in played:
            axes.plot(curve.budgets, 100 * np.array(curve.accuracies), color=_COLOURS[name], alpha=0.25, linewidth=0.8)
        axes.plot(*_mean_curve(played), color=_COLOURS[name], linewidth=1.8, label=name)
    for level in LEVELS:
        axes.axhline(100 * level * full, color="black", alpha=0.3, linewidth=0.6, linestyle="--")
    axes.set(xlabel="labels", ylabel="accuracy, %", xscale="log", title="What each label teaches")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def _mean_curve(played: Sequence[Curve]) -> tuple[list[int], np.ndarray]:
    """Return the budgets that every seed has, and the mean accuracy there in percent."""
    shared = sorted(set.intersection(*(set(curve.budgets) for curve in played)))
    rows = [[curve.accuracies[curve.budgets.index(budget)] for budget in shared] for curve in played]
    return shared, 100 * np.mean(rows, axis=0)
