"""How many answers a case needs, from those that it has: a second person, a third opinion, or no more."""

from collections.abc import Collection
from typing import Final

import polars as pl

from labeling.vocabulary import CANNOT_TELL

MOST_SKIPS: Final = 3
"""So many people pass on a case; then it is asked of nobody else, and counts as not answered."""

_OPINIONS: Final = 3


def count_answers(reviews: pl.DataFrame, *, tasks: Collection[str]) -> pl.DataFrame:
    """Return what the answers to each case amount to.

    Args:
        reviews: REVIEWS table; withdrawn answers and rows without a case are left out.
        tasks: in which people can disagree; "cannot tell" disagrees with nothing.

    Returns:
        case_id, answers (people who answered), skips (people who passed), is_disputed.
    """
    standing = reviews.filter(
        pl.col("case_id").is_not_null(), pl.col("unanswered").is_null() | (pl.col("unanswered") == "skipped")
    )
    people = standing.group_by("case_id", "review_id").agg(pl.col("label").is_not_null().any().alias("answered"))
    said = standing.filter(pl.col("task").is_in(list(tasks)), pl.col("label") != CANNOT_TELL)
    disputed = (
        said.group_by("case_id", "task").agg(pl.col("label").n_unique()).filter(pl.col("label") > 1)["case_id"].unique()
    )
    return (
        people.group_by("case_id")
        .agg(pl.col("answered").sum().alias("answers"), (~pl.col("answered")).sum().alias("skips"))
        .with_columns(pl.col("case_id").is_in(disputed.implode()).alias("is_disputed"))
    )


def find_unasked(tasks: pl.DataFrame, queue: pl.DataFrame, counts: pl.DataFrame) -> pl.DataFrame:
    """Return the cases for which the desk should ask for another number of answers than it does.

    A case goes out for one answer, and where it has that, for as many as the queue wants; for three where two people
    disagree. A skip leaves it waiting for somebody else, until ``MOST_SKIPS`` people have passed.

    Args:
        tasks: REVIEW_TASKS rows of the cases at the desk.
        queue: REVIEW_QUEUE table.
        counts: of ``count_answers``.

    Returns:
        The rows of ``tasks`` with ``overlap`` as it should be; 0 where nobody should be asked any more.
    """
    planned = queue.select("case_id", pl.col("overlap").fill_null(1).alias("planned"))
    known = tasks.join(planned, on="case_id").join(counts, on="case_id")
    wanted = (
        pl.when(pl.col("skips") >= MOST_SKIPS)
        .then(pl.col("answers"))
        .when(pl.col("answers") == 0)
        .then(1)
        .when(pl.col("is_disputed"))
        .then(pl.max_horizontal("planned", pl.lit(_OPINIONS)))
        .otherwise("planned")
        .cast(pl.Int32)
    )
    asked = pl.col("overlap").fill_null(pl.col("planned"))
    return known.filter(wanted != asked).with_columns(wanted.alias("overlap")).select(tasks.columns)


def share_unanswered(counts: pl.DataFrame) -> float:
    """Return the share of cases that ended without an answer among those that ended or have one, in [0, 1]."""
    ended = counts.filter(pl.col("skips") >= MOST_SKIPS, pl.col("answers") == 0).height
    answered = counts.filter(pl.col("answers") > 0).height
    return ended / (ended + answered) if ended else 0.0
