"""Corrections become labels too, believed as far as reviews have borne corrections out.

An agent's correction is not a review: agents see what the model said and correct only what they notice. So it never
outranks a review, never enters the audit lot, and its weight is measured, not assumed.
"""

from datetime import datetime
from typing import Final

import polars as pl

from labeling.tables import LABELS
from labeling.vocabulary import CANNOT_TELL

PRIOR_RIGHT: Final = 2.0
PRIOR_WRONG: Final = 1.0
"""Beta(2, 1): before any evidence a correction is right two times in three. Someone took the trouble to correct, so
better than even; but it weighs as much as three reviewed corrections only, so that the measured share soon rules."""

_PAIR: Final = ("interaction_id", "task")


def settle_corrections(
    corrections: pl.DataFrame, *, reviewed: pl.DataFrame, interactions: pl.DataFrame, now: datetime
) -> pl.DataFrame:
    """Turn corrections of open-lot interactions that no review has settled into labels.

    Args:
        corrections: CORRECTIONS table; those whose interaction has not come yet wait.
        reviewed: LABELS rows settled from reviews; they stand.
        interactions: INTERACTIONS table (``interaction_id`` and ``lot``).
        now: when the labels are settled.

    Returns:
        LABELS table with ``source`` correction; ``confidence`` is the trust in corrections of that task.
    """
    newest = newest_corrections(corrections)
    opened = interactions.filter(pl.col("lot") == "open").select("interaction_id")
    rows = (
        newest.join(opened, on="interaction_id", how="semi")
        .join(reviewed, on=_PAIR, how="anti")
        .join(measure_trust(newest, reviewed), on="task")
        .with_columns(
            confidence=pl.col("trust").round(2).clip(0.01, 1.0),
            source=pl.lit("correction"),
            answer_ids=pl.concat_list("correction_id"),
            settled_at=pl.lit(now),
        )
    )
    return rows.select(list(LABELS.schema)).cast(pl.Schema(LABELS.schema)).sort(_PAIR)


def newest_corrections(corrections: pl.DataFrame) -> pl.DataFrame:
    """Return the newest correction of each interaction and task."""
    return (
        corrections.filter(pl.col("label") != CANNOT_TELL)
        .sort("corrected_at", "correction_id")
        .unique(_PAIR, keep="last", maintain_order=True)
        .sort(_PAIR)
    )


def measure_trust(newest: pl.DataFrame, reviewed: pl.DataFrame) -> pl.DataFrame:
    """Measure, by task, how often a correction says what the reviews of the same interaction settled to.

    Args:
        newest: one correction an interaction and task.
        reviewed: LABELS rows settled from reviews.

    Returns:
        ``task``, ``trust`` in (0, 1), the mean of the Beta posterior, and ``compared``, the number it rests on; one
        row for each task that has corrections.
    """
    settled = reviewed.select(*_PAIR, settled="label")
    agreed = newest.join(settled, on=_PAIR, how="left").with_columns(agrees=pl.col("label") == pl.col("settled"))
    return (
        agreed.group_by("task")
        .agg(
            trust=(pl.col("agrees").sum() + PRIOR_RIGHT) / (pl.col("agrees").count() + PRIOR_RIGHT + PRIOR_WRONG),
            compared=pl.col("agrees").count(),
        )
        .sort("task")
    )
