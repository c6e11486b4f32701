"""Pictures of the review, readable in grey: the queue by reason, the age of what waits, answers a day, agreement."""

import base64
from collections.abc import Sequence
from datetime import datetime, timedelta
from math import isnan
from typing import TYPE_CHECKING, Final

import polars as pl

from labeling.quality.agreement import Agreement
from training.svg import as_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOUR: Final = "#1f5f8b"
_DAYS: Final = 60
_DAY: Final = timedelta(days=1)
_AGES: Final = ((1, "under a day"), (3, "1 to 3 days"), (7, "3 to 7 days"), (14, "7 to 14 days"))
_OLDEST: Final = "over 14 days"


def waiting_cases(queue: pl.DataFrame, reviews: pl.DataFrame, tasks: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of ``queue`` that nobody has answered and that are not withdrawn.

    Args:
        queue: REVIEW_QUEUE table.
        reviews: REVIEWS table; an answer that names no case answers every case of its interaction.
        tasks: REVIEW_TASKS table.
    """
    answered = reviews.filter(pl.col("label").is_not_null())
    by_case = answered.filter(pl.col("case_id").is_not_null()).select("case_id")
    by_message = answered.filter(pl.col("case_id").is_null()).select("interaction_id")
    withdrawn = tasks.filter(pl.col("state") == "withdrawn").select("case_id")
    return (
        queue.join(by_case, on="case_id", how="anti")
        .join(by_message, on="interaction_id", how="anti")
        .join(withdrawn, on="case_id", how="anti")
    )


def count_ages(waiting: pl.DataFrame, *, now: datetime) -> dict[str, int]:
    """Count waiting cases by how long ago they were picked, the youngest first."""
    days = waiting.select((pl.lit(now) - pl.col("picked_at")).dt.total_seconds() / 86400).to_series()
    counts = {name: 0 for _, name in _AGES} | {_OLDEST: 0}
    for age in days:
        counts[next((name for limit, name in _AGES if age < limit), _OLDEST)] += 1
    return counts


def answers_a_day(reviews: pl.DataFrame, *, now: datetime) -> pl.DataFrame:
    """Return ``day``, ``answers`` and ``skips`` of every day from the first of the last sixty that had any to now."""
    rows = reviews.filter(pl.col("answered_at") > now - _DAYS * _DAY, pl.col("answered_at") <= now)
    once = rows.group_by("review_id").agg(
        day=pl.col("answered_at").max().dt.date(), answered=pl.col("label").is_not_null().any()
    )
    counted = once.group_by("day").agg(answers=pl.col("answered").sum(), skips=(~pl.col("answered")).sum())
    if counted.is_empty():
        return counted.with_columns(pl.col("answers", "skips").cast(pl.Int64))
    days = counted.select(pl.date_range(pl.col("day").min(), pl.lit(now.date())).alias("day"))
    return days.join(counted, on="day", how="left").fill_null(0).sort("day")


def render_reasons(waiting: pl.DataFrame) -> str:
    """Return the waiting cases by reason as bars, SVG."""
    counted = waiting["reason"].value_counts().sort(["count", "reason"], descending=[True, False])
    return _bars("Waiting cases by reason", dict(counted.iter_rows()))


def render_ages(waiting: pl.DataFrame, *, now: datetime) -> str:
    """Return the waiting cases by age as bars, SVG."""
    return _bars("Waiting cases by age", count_ages(waiting, now=now))


def render_days(reviews: pl.DataFrame, *, now: datetime) -> str:
    """Return answers and skips a day as bars, SVG."""
    from matplotlib.dates import ConciseDateFormatter

    days = answers_a_day(reviews, now=now)
    figure, axes = _canvas(2.4)
    width = 0.8
    axes.bar(days["day"].to_list(), days["answers"].to_list(), width, color=_COLOUR, label="answered")
    axes.bar(
        days["day"].to_list(), days["skips"].to_list(), width, bottom=days["answers"].to_list(),
        color="white", edgecolor=_COLOUR, hatch="////", label="skipped",
    )  # fmt: skip
    axes.xaxis_date()
    axes.xaxis.set_major_formatter(ConciseDateFormatter(axes.xaxis.get_major_locator()))
    axes.set_xlim(now.date() - max(14, days.height) * _DAY, now.date() + _DAY)  # pyright: ignore[reportArgumentType]
    axes.locator_params(axis="y", integer=True)
    axes.legend(fontsize=8, frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 1))
    return _svg(figure, axes, "Answers a day")


def render_agreement(found: Sequence[Agreement]) -> str:
    """Return alpha by task with its interval as dots, SVG."""
    figure, axes = _canvas(0.9 + 0.35 * max(1, len(found)))
    for place, one in enumerate(found):
        if isnan(one.alpha):
            axes.annotate("too few answers by two people", (0.5, place), ha="center", va="center", fontsize=8)
            continue
        axes.hlines(place, one.low, one.high, color=_COLOUR, linewidth=1.5)
        axes.plot([one.alpha], [place], "o", color=_COLOUR)
    axes.set_xlim(min(0.0, *(one.low for one in found if not isnan(one.low)), 0.0), 1)
    axes.set_ylim(max(1, len(found)) - 0.5, -0.5)
    axes.set_yticks(range(len(found)), [one.task for one in found])
    axes.grid(axis="x", alpha=0.25)
    return _svg(figure, axes, "Agreement beyond chance (1: all agree, 0: as chance would)")


def as_markdown(svg: str, title: str) -> str:
    """Return ``svg`` as an image in Markdown, for the page of an asset."""
    return f"![{title}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def _bars(title: str, counts: dict[str, int]) -> str:
    figure, axes = _canvas(0.9 + 0.26 * max(2, len(counts)))
    bars = axes.barh([name.replace("_", " ") for name in counts], list(counts.values()), color=_COLOUR)
    axes.bar_label(bars, padding=3, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.12 * max(1, *counts.values(), 1))
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    if not counts:
        axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center")
        axes.set_yticks([])
    return _svg(figure, axes, title)


def _canvas(height: float) -> tuple["Figure", "Axes"]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, height), layout="constrained")
    return figure, figure.subplots()


def _svg(figure: "Figure", axes: "Axes", title: str) -> str:
    axes.set_title(title, loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)
    return as_svg(figure, title)
