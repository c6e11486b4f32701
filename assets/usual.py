"""Is what came what usually comes? Volume and freshness of each source against its own history, as expectations."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from assets.expectations import Rule, find_unmet

_HISTORY: Final = timedelta(days=60)
_DAY: Final = timedelta(days=1)
MIN_DAYS: Final = 7
"""Days with arrivals that a source must have had before anything is called unusual."""
MANY_TIMES: Final = 10.0
"""How many times a source's largest day may be exceeded, and its longest silence."""

_RULES: Final = (
    Rule(
        "volume",
        f"more than {MANY_TIMES:g} times its largest day came within a day",
        "expect_column_values_to_be_between",
        {"column": "volume", "max_value": MANY_TIMES},
    ),
    Rule(
        "freshness",
        f"nothing has come for more than {MANY_TIMES:g} times its longest silence",
        "expect_column_values_to_be_between",
        {"column": "silence", "max_value": MANY_TIMES},
    ),
)


@dataclass(frozen=True)
class Unusual:
    """One source that does not behave as it did: ``source``, ``code`` (volume or freshness) and ``reason``."""

    source: str
    code: str
    reason: str


def find_unusual(deliveries: pl.DataFrame, *, now: datetime) -> list[Unusual]:
    """Return the sources whose volume or silence is out of all proportion to their own last sixty days.

    Args:
        deliveries: DELIVERIES rows of one table; a source with fewer than ``MIN_DAYS`` days of arrivals before the last
            day is never unusual.
        now: the time of the collection.
    """
    recent = deliveries.filter(pl.col("rows") > 0, pl.col("collected_at") > now - _HISTORY)
    last = recent.filter(pl.col("collected_at") > now - _DAY).group_by("source").agg(pl.col("rows").sum().alias("last"))
    before = recent.filter(pl.col("collected_at") <= now - _DAY)
    days = before.group_by("source", day=pl.col("collected_at").dt.date()).agg(pl.col("rows").sum())
    volumes = days.group_by("source").agg(pl.col("rows").max().alias("largest"), pl.len().alias("days"))
    times = recent.group_by("source").agg(
        (pl.lit(now) - pl.col("collected_at").max()).dt.total_seconds().alias("silent"),
        pl.col("collected_at").unique().sort().diff().max().dt.total_seconds().alias("longest"),
    )
    seen = (
        volumes.filter(pl.col("days") >= MIN_DAYS)
        .join(times, on="source")
        .join(last, on="source", how="left")
        .select(
            "source",
            volume=pl.col("last").fill_null(0) / pl.col("largest"),
            silence=pl.col("silent") / pl.max_horizontal("longest", pl.lit(_DAY.total_seconds())),
        )
        .sort("source")
    )
    if seen.is_empty():
        return []
    unmet = find_unmet(seen, _RULES)
    return [
        Unusual(str(seen["source"][row]), rule.code, rule.reason)
        for rule, rows in zip(_RULES, unmet, strict=True)
        for row in rows
    ]
