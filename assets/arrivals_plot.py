"""A picture of what came day by day, for the pages of the assets."""

import base64
import io
from datetime import timedelta
from typing import Final

import polars as pl

_DAYS: Final = 60
_FORTNIGHT: Final = timedelta(days=14)
_MARGIN: Final = timedelta(days=1)
_COLOURS: Final = {"stored": "#2a7f62", "parked": "#d9a441", "quarantined": "#b3402a"}


def plot_arrivals(deliveries: pl.DataFrame, title: str) -> str:
    """Return rows stored, parked and quarantined by day of collection, as an image in Markdown.

    Args:
        deliveries: DELIVERIES rows of one table.
        title: stands over the picture.
    """
    from matplotlib.figure import Figure

    days = arrivals_by_day(deliveries)
    figure = Figure(figsize=(7, 2.2), layout="constrained")
    axes = figure.subplots()
    bottom = pl.zeros(days.height, eager=True)
    for name, colour in _COLOURS.items():
        axes.bar(days["day"].to_list(), days[name].to_list(), bottom=bottom.to_list(), color=colour, label=name)
        bottom += days[name]
    axes.set_title(f"{title}: rows by day of collection", loc="left", fontsize=10)
    axes.legend(fontsize=8, frameon=False, ncols=len(_COLOURS), loc="lower right", bbox_to_anchor=(1, 1))
    first, last = days["day"][0], days["day"][-1]
    axes.set_xlim(min(first, last - _FORTNIGHT) - _MARGIN, last + _MARGIN)
    axes.tick_params(axis="x", labelrotation=30, labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=100)
    return f"![{title} by day](data:image/png;base64,{base64.b64encode(drawn.getvalue()).decode()})"


def arrivals_by_day(deliveries: pl.DataFrame) -> pl.DataFrame:
    """Return ``day``, ``stored``, ``parked`` and ``quarantined`` of the newest sixty days with a delivery."""
    return (
        deliveries.group_by(day=pl.col("collected_at").dt.date())
        .agg(pl.col(name).sum().cast(pl.Int64) for name in _COLOURS)
        .sort("day")
        .tail(_DAYS)
    )
