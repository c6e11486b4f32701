"""What all answers settle to now, and which labels that changes."""

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from labeling.settling.consensus import settle_reviews
from labeling.settling.trust import settle_corrections
from labeling.tables import LABELS
from labeling.vocabulary import CANNOT_TELL

_PAIR: Final = ["interaction_id", "task"]
_CONTENT: Final = ["label", "confidence", "source", "answer_ids"]


def settle(
    *,
    reviews: pl.DataFrame,
    corrections: pl.DataFrame,
    interactions: pl.DataFrame,
    labels: pl.DataFrame,
    now: datetime,
) -> pl.DataFrame:
    """Settle all answers and return the labels that differ from the stored ones.

    Reviews outrank corrections. A stored label that no answer bears any more (its annotator took it back) is replaced
    by "cannot tell", which is never trained on.

    Args:
        reviews: REVIEWS table, all of it.
        corrections: CORRECTIONS table, all of it.
        interactions: INTERACTIONS table (``interaction_id`` and ``lot``).
        labels: LABELS table as stored.
        now: when the labels are settled.

    Returns:
        LABELS rows to merge; none where nothing changed. Each is newer than the stored row that it replaces, even
        where the clock stood still or went back.
    """
    reviewed = settle_reviews(reviews, now=now)
    corrected = settle_corrections(corrections, reviewed=reviewed, interactions=interactions, now=now)
    settled = pl.concat([reviewed, corrected])
    fresh = pl.concat([settled, _withdrawn(labels, settled, now)])
    unchanged = _comparable(fresh).join(_comparable(labels), on=_PAIR + _CONTENT)
    changed = fresh.join(unchanged, on=_PAIR, how="anti").join(
        labels.select(*_PAIR, stored_at="settled_at"), on=_PAIR, how="left"
    )
    newer = pl.max_horizontal("settled_at", pl.col("stored_at") + timedelta(microseconds=1))
    return changed.with_columns(settled_at=newer).select(list(LABELS.schema)).sort(_PAIR)


def _withdrawn(labels: pl.DataFrame, settled: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Return a "cannot tell" for each stored label that nothing settles to any more."""
    return labels.join(settled, on=_PAIR, how="anti").with_columns(
        label=pl.lit(CANNOT_TELL),
        confidence=pl.lit(1.0),
        answer_ids=pl.lit([], dtype=pl.List(pl.String)),
        settled_at=pl.lit(now, dtype=pl.Datetime("us", "UTC")),
    )


def _comparable(labels: pl.DataFrame) -> pl.DataFrame:
    return labels.select(*_PAIR, *_CONTENT).with_columns(pl.col("answer_ids").list.join("\n"))
