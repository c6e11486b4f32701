"""The page on a handoff policy: one HTML file that needs nothing else, readable in grey."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from assets.handoff_study import Curve, Study
from training.svg import as_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAGE: Final = "handoff.html"
_TEMPLATE: Final = "handoff.html.j2"
_COLOUR: Final = "#1f5f8b"
_PROMISE: Final = "#c2571a"
_GREY: Final = "#4a545e"
_SMALL: Final = 12
"""So many intents have a curve of their own; the table has all."""


def write_page(study: Study, path: Path, *, title: str, made_at: datetime) -> None:
    """Write the page of ``study`` to ``path``; names are escaped."""
    from jinja2 import Environment, PackageLoader

    page = Environment(loader=PackageLoader("assets", ""), autoescape=True).get_template(_TEMPLATE)
    path.parent.mkdir(parents=True, exist_ok=True)
    rendered = page.render(
        title=title,
        made_at=made_at,
        study=study,
        policy=study.policy,
        limit=_limit(study),
        whole=draw_curve(study) if len(study.curve.coverage) else "",
        small=draw_intents(study) if study.curves else "",
    )
    path.write_text(rendered, encoding="utf-8")


def _limit(study: Study) -> float | None:
    """Return the largest risk that is kept of any answer."""
    return max((row.limit for row in study.intents if row.limit is not None), default=None)


def draw_curve(study: Study) -> str:
    """Return risk against coverage of all cases as an SVG, with the promise and where the threshold sits."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 4.6), layout="constrained")
    axes = figure.subplots()
    curve, promised = study.curve, study.policy.config.promised_error_share
    shown = curve.coverage >= 0.02
    axes.fill_between(
        100 * curve.coverage[shown],
        100 * curve.risk[shown],
        100 * curve.upper[shown],
        color=_COLOUR,
        alpha=0.15,
        linewidth=0,
        label=f"up to the upper bound ({study.policy.config.confidence:.0%})",
    )
    axes.plot(100 * curve.coverage, 100 * curve.risk, color=_COLOUR, linewidth=1.8, label="wrong among those kept")
    axes.axhline(
        100 * promised, color=_PROMISE, linestyle="--", linewidth=1.4, label=f"promised: at most {promised:.0%}"
    )
    if curve.wrong is not None:
        _mark(
            axes, curve, "each group's own threshold" if any(one.own for one in study.groups.values()) else "threshold"
        )
    top = max(2 * 100 * promised, 100 * float(curve.risk[-1]) * 1.15)
    _dress(axes, top, "messages kept, %", "wrong among those kept, %")
    axes.legend(loc="upper left", frameon=False)
    return as_svg(figure, "Wrong answers among those kept, against the share of messages kept")


def draw_intents(study: Study) -> str:
    """Return the same of the commonest answers, small and side by side."""
    from matplotlib.figure import Figure

    names = list(study.curves)[:_SMALL]
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(2.5 * columns, 2.0 * rows), layout="constrained")
    grid = np.atleast_1d(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)).ravel()
    promised = 100 * study.policy.config.promised_error_share
    top = max(
        2 * promised,
        *(100 * float(study.curves[name].risk[-1]) * 1.15 for name in names if len(study.curves[name].risk)),
    )
    for axes, name in zip(grid, names, strict=False):
        curve = study.curves[name]
        axes.plot(100 * curve.coverage, 100 * curve.risk, color=_COLOUR, linewidth=1.4)
        axes.axhline(promised, color=_PROMISE, linestyle="--", linewidth=1)
        if curve.wrong is not None:
            axes.plot([100 * curve.kept], [100 * curve.wrong], "o", color=_GREY, markersize=5)
        axes.set_title(_short(name), fontsize=9, loc="left")
        _dress(axes, min(top, 100), "", "")
    for axes in grid[len(names) :]:
        axes.set_visible(False)
    figure.supxlabel("messages kept, %", fontsize=9)
    figure.supylabel("wrong among those kept, %", fontsize=9)
    return as_svg(figure, "The same for the commonest answers; a dot shows where the threshold sits")


def _short(name: str) -> str:
    return name if len(name) <= 28 else name[:27] + "…"


def _mark(axes: "Axes", curve: Curve, name: str) -> None:
    """Show where the threshold sits; thresholds of several groups together may lie off the line of one."""
    x, y = 100 * curve.kept, 100 * (curve.wrong or 0.0)
    axes.axvline(x, color=_GREY, linestyle=":", linewidth=1.2)
    axes.plot([x], [y], "o", color=_GREY, markersize=7, label=f"{name}: keeps {x:.0f}%, {y:.1f}% of these wrong")


def _dress(axes: "Axes", top: float, across: str, up: str) -> None:
    axes.set_xlim(0, 100)
    axes.set_ylim(0, min(top, 100))
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
