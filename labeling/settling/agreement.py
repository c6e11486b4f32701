"""How far people agree beyond chance."""

from collections.abc import Mapping

import polars as pl

from labeling.settling.consensus import PAIR, newest_answers


def measure_agreement(reviews: pl.DataFrame) -> Mapping[str, float]:
    """Return Krippendorff's alpha (2011, nominal) by task: 1 where all agree, 0 where they agree as chance would.

    Answers to interactions that nobody else answered are left out; so is a task of which there are no others, or one
    whose answers are all the same (nothing could have differed).

    Args:
        reviews: REVIEWS table.
    """
    answers = newest_answers(reviews)
    shared = answers.filter(pl.len().over(PAIR) > 1)
    return {
        str(of_task["task"][0]): alpha
        for of_task in shared.partition_by("task", maintain_order=True)
        if (alpha := _alpha(of_task)) is not None
    }


def _alpha(answers: pl.DataFrame) -> float | None:
    total = answers.height
    frequent = answers.group_by("label").len().select(pl.col("len") * (total - pl.col("len"))).sum().item()
    if not frequent:
        return None
    given = answers.group_by("interaction_id", "label").agg(same=pl.len())
    units = given.join(answers.group_by("interaction_id").agg(people=pl.len()), on="interaction_id")
    apart = pl.col("same") * (pl.col("people") - pl.col("same")) / (pl.col("people") - 1)
    found = units.sort("interaction_id", "label").select(apart.sum()).item()
    return 1.0 - (total - 1) * found / frequent
