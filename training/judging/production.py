"""How the champion's answers hold up on real traffic: accuracy as served, and drift of what it says."""

from dataclasses import dataclass
from typing import Final

import polars as pl

MIN_CASES: Final = 200
"""Fewer reviewed audit cases than this make an interval too wide to act on: no figure is given."""


@dataclass(frozen=True)
class ServedAccuracy:
    """The share of answers that were right, of all answers as served, with its 95% interval."""

    task: str
    cases: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class TooFew:
    """There are not enough reviewed audit cases to state an accuracy; ``cases`` says how many there are."""

    task: str
    cases: int
    needed: int = MIN_CASES


def estimate_served_accuracy(
    predictions: pl.DataFrame, labels: pl.DataFrame, interactions: pl.DataFrame, *, task: str
) -> ServedAccuracy | TooFew:
    """Estimate accuracy on all traffic from the *estimate* part of the audit lot.

    Membership of that part is drawn by a hash before any model sees the message, so the plain share of right first
    answers is unbiased; the interval is Wilson's (1927). The first prediction of an interaction is the one as served.

    Args:
        predictions: PREDICTIONS table.
        labels: LABELS table; only those that reviews settled count.
        interactions: INTERACTIONS table.
        task: which task.
    """
    from statsmodels.stats.proportion import proportion_confint

    drawn = interactions.filter(pl.col("part") == "estimate").select("interaction_id")
    truth = labels.filter(pl.col("task") == task, pl.col("source") == "review").select("interaction_id", truth="label")
    served = predictions.filter(pl.col("task") == task).sort("predicted_at").unique("interaction_id", keep="first")
    cases = served.join(drawn, on="interaction_id", how="semi").join(truth, on="interaction_id")
    if cases.height < MIN_CASES:
        return TooFew(task, cases.height)
    right = int((cases["label"] == cases["truth"]).sum())
    low, high = proportion_confint(right, cases.height, method="wilson")
    return ServedAccuracy(task, cases.height, right / cases.height, float(low), float(high))  # pyright: ignore


@dataclass(frozen=True)
class Drift:
    """How far the labels said lately differ from those said before.

    ``distance`` is the total variation distance of the two label distributions, in [0, 1]; ``p_value`` that of a
    chi-squared test of homogeneity (Pearson, 1900), NaN where either side is empty.
    """

    task: str
    distance: float
    p_value: float


def measure_drift(earlier: pl.DataFrame, lately: pl.DataFrame, *, task: str) -> Drift:
    """Compare what one model said of two periods.

    Args:
        earlier: PREDICTIONS rows of the period to compare with.
        lately: PREDICTIONS rows of the period in question.
        task: which task.
    """
    from scipy.stats import chi2_contingency

    counts = (
        pl.concat([earlier.with_columns(side=pl.lit("earlier")), lately.with_columns(side=pl.lit("lately"))])
        .filter(pl.col("task") == task)
        .group_by("label")
        .agg(earlier=(pl.col("side") == "earlier").sum(), lately=(pl.col("side") == "lately").sum())
    )
    before, after = counts["earlier"].sum(), counts["lately"].sum()
    if not before or not after:
        return Drift(task, 0.0, float("nan"))
    distance = (counts["earlier"] / before - counts["lately"] / after).abs().sum() / 2
    table = counts.select("earlier", "lately").to_numpy()
    p_value = chi2_contingency(table).pvalue if table.shape[0] > 1 else 1.0  # pyright: ignore[reportAttributeAccessIssue]
    return Drift(task, float(distance), float(p_value))
