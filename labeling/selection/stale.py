"""Cases that wait for a person though the model that chose them is gone."""

from typing import Final

import polars as pl

WITHDRAWN: Final = "withdrawn"
"""The state of a case (REVIEW_TASKS) that was taken off the desk, or never sent, because it was stale."""

_RANKED: Final = ("uncertainty", "typical", "novelty", "disagreement", "gate_request")
"""The reasons that another champion, or what it learnt from, would weigh otherwise; the rest stand as they are."""


def stale_cases(queue: pl.DataFrame, tasks: pl.DataFrame, reviews: pl.DataFrame, *, champion: str | None) -> pl.Series:
    """Return the cases that another champion chose and nobody answered: their place in the queue is out of date.

    They are to be withdrawn, sent or not; their budget goes to what the live champion makes of the pool. A case with
    any answer stays, a skip included, and so do audit, uniform, gold, handoff and label-error cases, which no
    champion ranked.

    Args:
        queue: REVIEW_QUEUE table.
        tasks: ``case_id, state`` of REVIEW_TASKS; cases withdrawn before are not returned again.
        reviews: ``interaction_id, case_id`` of REVIEWS; a null ``case_id`` answers every case of its interaction.
        champion: the live version; None makes nothing stale.

    Returns:
        Case ids, sorted.
    """
    if champion is None:
        return pl.Series("case_id", [], dtype=pl.String)
    ranked = queue.filter(pl.col("reason").is_in(_RANKED), pl.col("champion").ne_missing(champion))
    unnamed = reviews.filter(pl.col("case_id").is_null())
    waiting = (
        ranked.join(withdrawn_cases(tasks), on="case_id", how="anti")
        .join(reviews.drop_nulls("case_id"), on="case_id", how="anti")
        .join(unnamed, on="interaction_id", how="anti")
    )
    return waiting["case_id"].sort()


def withdrawn_cases(tasks: pl.DataFrame) -> pl.DataFrame:
    """Return the ``case_id`` of each case that was withdrawn."""
    return tasks.filter(pl.col("state") == WITHDRAWN).select("case_id")
