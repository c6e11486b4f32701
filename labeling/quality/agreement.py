"""How far people agree beyond chance, with an interval, and which labels they mix up."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from labeling.settling.consensus import newest_answers

_DRAWS: Final = 1000
_ENDS: Final = (0.025, 0.975)


@dataclass(frozen=True)
class Agreement:
    """Krippendorff's alpha of one task: 1 where all agree, 0 where they agree as chance would.

    ``low`` and ``high`` are its 95% interval; all three are not-a-number where nothing could have differed.
    ``shared`` counts the interactions that more than one person answered.
    """

    task: str
    alpha: float
    low: float
    high: float
    shared: int


def bound_agreement(reviews: pl.DataFrame, *, rng: np.random.Generator) -> list[Agreement]:
    """Measure agreement by task (Krippendorff, 2011, nominal), bootstrapped over interactions.

    Args:
        reviews: REVIEWS table; of one person's answers to one interaction the newest counts, "cannot tell" does not.
        rng: draws the bootstrap's samples.

    Returns:
        One entry a task that people answered, in the order of their names.
    """
    answers = newest_answers(reviews)
    tasks = answers["task"].unique().sort().to_list()
    return [_bound(answers.filter(pl.col("task") == task), task, rng) for task in tasks]


def count_mixed_up(reviews: pl.DataFrame, *, task: str) -> pl.DataFrame:
    """Count the pairs of labels that different people gave to one interaction.

    Args:
        reviews: REVIEWS table.
        task: which task.

    Returns:
        ``one``, ``other`` (in the order of the alphabet), ``times`` (interactions where both were given) and ``shared``
        (interactions that more than one person answered, where either was given); the most frequent first.
    """
    answers = newest_answers(reviews).filter(pl.col("task") == task)
    shared = answers.filter(pl.len().over("interaction_id") > 1)
    given = shared.select("interaction_id", "label").unique()
    pairs = given.join(given, on="interaction_id", suffix="_other").filter(pl.col("label") < pl.col("label_other"))
    counted = pairs.group_by(one="label", other="label_other").agg(times=pl.len())
    with_label = given.group_by("label").agg(held=pl.len())
    return (
        counted.join(with_label.rename({"label": "one", "held": "of_one"}), on="one")
        .join(with_label.rename({"label": "other", "held": "of_other"}), on="other")
        .select("one", "other", "times", shared=pl.col("of_one") + pl.col("of_other") - pl.col("times"))
        .sort(["times", "one", "other"], descending=[True, False, False])
    )


def _bound(answers: pl.DataFrame, task: str, rng: np.random.Generator) -> Agreement:
    shared = answers.filter(pl.len().over("interaction_id") > 1)
    if shared.is_empty():
        return Agreement(task, np.nan, np.nan, np.nan, 0)
    counts = shared.pivot("label", index="interaction_id", values="review_id", aggregate_function="len")
    given = counts.drop("interaction_id").fill_null(0).to_numpy().astype(np.float64)
    units = len(given)
    drawn = rng.multinomial(units, np.full(units, 1 / units), size=_DRAWS).astype(np.float64)
    found = _alpha(given, drawn)
    known = found[~np.isnan(found)]
    low, high = np.quantile(known, _ENDS) if len(known) else (np.nan, np.nan)
    return Agreement(task, float(_alpha(given, np.ones((1, units)))[0]), float(low), float(high), units)


def _alpha(given: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return alpha for each row of ``weights``, (b, units), over ``given``, (units, labels) counts of answers."""
    people = given.sum(axis=1, keepdims=True)
    apart = (given * (people - given) / (people - 1)).sum(axis=1)
    totals = weights @ given
    answers = totals.sum(axis=1)
    chance = (totals * (answers[:, None] - totals)).sum(axis=1)
    observed = weights @ apart
    return np.where(chance > 0, 1 - (answers - 1) * observed / np.where(chance > 0, chance, 1), np.nan)
