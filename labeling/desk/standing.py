"""Where the review work stands: what waits and why, how long, and how much people answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, cast

import polars as pl

from labeling import tables as t
from labeling.delta import Tables
from labeling.desk.asking import count_answers
from labeling.desk.sending import IS_SENT

_DAYS: Final = 7


@dataclass(frozen=True)
class ReviewStanding:
    """The review work at one instant.

    Attributes:
        waiting: reason → cases at the desk with fewer answers than asked for, most first.
        unsent: cases that were picked and are not at the desk.
        oldest_at: when the oldest waiting case was sent, None where none waits.
        by_day: each of the last seven days (UTC), today last → answers given, skips left out.
        by_person: who answered today → answers, most first.
    """

    waiting: Mapping[str, int]
    unsent: int
    oldest_at: datetime | None
    by_day: Mapping[date, int]
    by_person: Mapping[str, int]


def read_standing(tables: Tables, *, now: datetime) -> ReviewStanding:
    """Return where the review work stands as far as it was fetched; the desk is not asked."""
    queue, reviews = tables.read(t.REVIEW_QUEUE), tables.read(t.REVIEWS)
    sent = tables.read(t.REVIEW_TASKS)
    counts = count_answers(reviews, tasks=())
    standing = sent.filter(IS_SENT).join(queue.select("case_id", "reason"), on="case_id")
    open_ones = standing.join(counts, on="case_id", how="left").filter(
        pl.col("answers").fill_null(0) < pl.col("overlap").fill_null(1)
    )
    never = queue.join(sent, on="case_id", how="anti").join(counts, on="case_id", how="anti")
    given = reviews.filter(pl.col("case_id").is_not_null(), pl.col("label").is_not_null()).unique("review_id")
    today = given.filter(pl.col("answered_at").dt.date() == now.date())
    return ReviewStanding(
        waiting=_count(open_ones["reason"]),
        unsent=never.height,
        oldest_at=cast("datetime | None", open_ones["sent_at"].min()),
        by_day=_by_day(given["answered_at"].dt.date(), now.date()),
        by_person=_count(today["annotator_id"]),
    )


def _count(values: pl.Series) -> dict[str, int]:
    counted = values.alias("value").value_counts().sort("count", "value", descending=[True, False])
    return dict(counted.iter_rows())


def _by_day(dates: pl.Series, today: date) -> dict[date, int]:
    counted = dict(dates.alias("day").value_counts().iter_rows())
    days = (today - timedelta(days=back) for back in reversed(range(_DAYS)))
    return {day: counted.get(day, 0) for day in days}
