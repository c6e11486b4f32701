"""A picture of accuracy as served: over the weeks, and by what was answered."""

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from training.judging.production import Period, ServedAccuracy, Slice

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOUR: Final = "#1f5f8b"
_PALE: Final = "#6b7680"
_MOST: Final = 16
"""How many answers the picture has room for; the table below it has all of them."""


def plot_accuracy(periods: Sequence[Period], slices: Sequence[Slice], title: str) -> str:
    """Return accuracy by period and by answer, with 95% intervals, as an image in Markdown.

    Args:
        periods: weeks taken together, in order.
        slices: those of the column ``label`` are drawn.
        title: stands over the picture.
    """
    from matplotlib.figure import Figure

    told = [one for one in slices if one.column == "label" and isinstance(one.accuracy, ServedAccuracy)][:_MOST]
    height = max(2.6, 0.9 + 0.24 * len(told))
    figure = Figure(figsize=(9, height), layout="constrained")
    over_time, by_answer = figure.subplots(1, 2, width_ratios=(3, 2))
    figure.suptitle(f"{title}: accuracy as served, with 95% intervals", x=0.01, ha="left", fontsize=10)
    _draw_periods(over_time, periods)
    _draw_answers(by_answer, told)
    for axes in (over_time, by_answer):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=110)
    return f"![{title}: accuracy as served](data:image/png;base64,{base64.b64encode(drawn.getvalue()).decode()})"


def _draw_periods(axes: "Axes", periods: Sequence[Period]) -> None:
    axes.set_title("by week of the message", loc="left", fontsize=9)
    for period in periods:
        middle = period.since + (period.until - period.since) / 2
        match period.accuracy:
            case ServedAccuracy(estimate=found, cases=cases):
                axes.hlines(found.value, period.since, period.until, color=_COLOUR, linewidth=2)  # pyright: ignore
                axes.vlines(middle, found.low, found.high, color=_COLOUR, linewidth=1)  # pyright: ignore
                axes.plot([middle], [found.value], "o", color=_COLOUR, markersize=5)  # pyright: ignore
                axes.annotate(f"{cases}", (middle, found.high), (0, 3), "data", "offset points", ha="center", size=7)  # pyright: ignore
            case few:
                axes.axvspan(period.since, period.until, color="#eef1f4", zorder=0)  # pyright: ignore
                axes.annotate(
                    f"too few\n({few.cases} cases,\n{few.errors} errors)",
                    (middle, 0.04), xycoords=("data", "axes fraction"), ha="center", size=7, color=_PALE,
                )  # fmt: skip  # pyright: ignore
    if not periods:
        axes.text(0.5, 0.5, "nothing was reviewed yet", transform=axes.transAxes, ha="center", size=8, color=_PALE)
    axes.xaxis_date()
    axes.tick_params(axis="x", labelrotation=30)
    axes.set_ylabel("right answers, share", fontsize=8)
    axes.grid(axis="y", alpha=0.25)


def _draw_answers(axes: "Axes", told: Sequence[Slice]) -> None:
    axes.set_title("by what was answered, most frequent first", loc="left", fontsize=9)
    for place, one in enumerate(told):
        found = one.accuracy.estimate  # pyright: ignore[reportAttributeAccessIssue]
        axes.hlines(place, found.low, found.high, color=_COLOUR, linewidth=1)
        axes.plot([found.value], [place], "o", color=_COLOUR, markersize=5)
    if not told:
        axes.text(0.5, 0.5, "too few cases of any answer", transform=axes.transAxes, ha="center", size=8, color=_PALE)
    axes.set_yticks(range(len(told)), [one.value for one in told])
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.25)
