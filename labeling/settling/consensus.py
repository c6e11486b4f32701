"""Reviews become labels: annotators are believed as far as they agree where more than one of them looked.

The one-coin model of Dawid and Skene (1979; Zhang et al., 2016): an annotator is right with one probability, their
skill, and otherwise answers any other label alike. Skills and labels are found together by expectation-maximisation,
with two departures from the textbook that small teams need: skills are learnt only from interactions that at least two
people answered (a person alone always agrees with themselves), and every skill starts from a prior.
"""

from datetime import datetime
from typing import Final

import polars as pl

from labeling.tables import LABELS
from labeling.vocabulary import CANNOT_TELL

PRIOR_RIGHT: Final = 9.0
PRIOR_WRONG: Final = 1.0
"""Before anyone overlaps, a reviewer is taken to be right nine times in ten, on the strength of ten answers."""

_ROUNDS: Final = 50
_TOLERANCE: Final = 1e-6
_PAIR: Final = ("interaction_id", "task")


def settle_reviews(reviews: pl.DataFrame, *, now: datetime) -> pl.DataFrame:
    """Settle every reviewed interaction of every task to its likeliest label.

    Of one annotator's answers to one interaction the newest counts. "Cannot tell" is no vote; where nobody could, there
    is no label. The order of ``reviews`` is of no effect.

    Args:
        reviews: REVIEWS table, all of it, because every answer says something of its annotator.
        now: when the labels are settled.

    Returns:
        LABELS table, one row an interaction and task that somebody answered; ``confidence`` in (0, 1] is the label's
        probability given the answers and skills, to two places, so that it does not flicker with each new answer.
    """
    answers = newest_answers(reviews)
    if answers.is_empty():
        return LABELS.empty()
    settled = pl.concat([_settle_task(of_task) for of_task in answers.partition_by("task")])
    rows = settled.with_columns(source=pl.lit("review"), settled_at=pl.lit(now))
    return rows.select(list(LABELS.schema)).cast(pl.Schema(LABELS.schema)).sort(_PAIR)


def newest_answers(reviews: pl.DataFrame) -> pl.DataFrame:
    """Return each annotator's newest answer to each interaction and task, in a fixed order, without "cannot tell"."""
    return (
        reviews.filter(pl.col("label").is_not_null())
        .sort("answered_at", "review_id")
        .unique([*_PAIR, "annotator_id"], keep="last", maintain_order=True)
        .filter(pl.col("label") != CANNOT_TELL)
        .sort([*_PAIR, "annotator_id"])
    )


def measure_skills(answers: pl.DataFrame) -> pl.DataFrame:
    """Estimate how often each annotator of one task is right.

    Args:
        answers: one row an annotator and interaction of one task (``newest_answers``).

    Returns:
        ``annotator_id``, ``skill`` in (0, 1) and ``overlapping``, the number of answers that it rests on.
    """
    everyone = answers.select("annotator_id").unique().sort("annotator_id")
    shared = answers.filter(pl.len().over("interaction_id") > 1)
    prior = PRIOR_RIGHT / (PRIOR_RIGHT + PRIOR_WRONG)
    skills = everyone.with_columns(skill=pl.lit(prior), overlapping=pl.lit(0, pl.UInt32))
    for _ in range(_ROUNDS if not shared.is_empty() else 0):
        votes = shared.join(label_probabilities(shared, skills), on=["interaction_id", "label"], how="left")
        fresh = (
            votes.group_by("annotator_id")
            .agg(
                skill=(pl.col("probability").sum() + PRIOR_RIGHT) / (pl.len() + PRIOR_RIGHT + PRIOR_WRONG),
                overlapping=pl.len(),
            )
            .join(everyone, on="annotator_id", how="right")
            .with_columns(pl.col("skill").fill_null(prior), pl.col("overlapping").fill_null(0))
            .select("annotator_id", "skill", "overlapping")
            .sort("annotator_id")
        )
        moved = (fresh["skill"] - skills["skill"]).abs().max()
        skills = fresh
        if isinstance(moved, float) and moved < _TOLERANCE:
            break
    return skills


def label_probabilities(answers: pl.DataFrame, skills: pl.DataFrame) -> pl.DataFrame:
    """Return ``interaction_id, label, probability`` for every label that somebody answered.

    The labels that nobody answered share what is left to 1.
    """
    labels = max(2, answers["label"].n_unique())
    weighed = answers.join(skills, on="annotator_id").with_columns(
        right=pl.col("skill").log(), wrong=((1 - pl.col("skill")) / (labels - 1)).log()
    )
    scored = (
        weighed.with_columns(all_wrong=pl.col("wrong").sum().over("interaction_id"))
        .group_by("interaction_id", "label")
        .agg(
            score=pl.col("all_wrong").first() + (pl.col("right") - pl.col("wrong")).sum(),
            all_wrong=pl.first("all_wrong"),
        )
        .sort("interaction_id", "label")
    )
    peak = pl.max_horizontal(pl.col("score").max().over("interaction_id"), "all_wrong")
    unanswered = (labels - pl.len().over("interaction_id")) * (pl.col("all_wrong") - peak).exp()
    odds = (pl.col("score") - peak).exp()
    total = odds.sum().over("interaction_id") + unanswered
    return scored.select("interaction_id", "label", probability=odds / total)


def _settle_task(answers: pl.DataFrame) -> pl.DataFrame:
    likeliest = (
        label_probabilities(answers, measure_skills(answers))
        .with_columns(confidence=pl.col("probability").round(2).clip(0.01, 1.0))
        .sort(["interaction_id", "confidence", "label"], descending=[False, True, False])
        .unique("interaction_id", keep="first", maintain_order=True)
    )
    voters = answers.group_by("interaction_id", "task").agg(answer_ids=pl.col("review_id").unique().sort())
    return likeliest.join(voters, on="interaction_id")
