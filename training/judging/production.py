"""How the champion's answers hold up on real traffic: accuracy as served, and drift of what it says."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

import numpy as np
import polars as pl

from training.judging.correctness import predict_correctness
from training.judging.served import SLICES

MIN_CASES: Final = 200
MIN_ERRORS: Final = 10
"""Fewer reviewed audit cases than this, or fewer errors among them, bear no interval: no figure is given."""

MIN_A_WEEK: Final = 10
"""Weeks with fewer reviewed conversations than this are weighted together with the weeks beside them."""

Method = Literal["prediction-powered", "audit cases only"]


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95% interval, all in [0, 1]."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ServedAccuracy:
    """The share of answers that were right, of all ``served`` answers, with its 95% interval.

    ``cases`` and ``errors`` count the audit cases that people read; ``audit_only`` is what they alone would say.
    """

    cases: int
    errors: int
    served: int
    estimate: Interval
    method: Method
    audit_only: Interval


@dataclass(frozen=True)
class TooFew:
    """There are not enough reviewed audit cases, or errors among them, to state an accuracy."""

    cases: int
    errors: int

    @property
    def lacking(self) -> str:
        """Say what is there of what is needed."""
        if self.cases < MIN_CASES:
            return f"too few audit cases: {self.cases} of {MIN_CASES}"
        return f"too few audit errors: {self.errors} of {MIN_ERRORS}, among {self.cases} cases"


@dataclass(frozen=True)
class Period:
    """The accuracy of some weeks in a row; ``until`` is the end of the last one."""

    since: datetime
    until: datetime
    accuracy: ServedAccuracy | TooFew


@dataclass(frozen=True)
class Slice:
    """The accuracy of the answers where ``column`` (of ``SLICES``) is ``value``."""

    column: str
    value: str
    accuracy: ServedAccuracy | TooFew


def add_chances(served: pl.DataFrame) -> pl.DataFrame:
    """Return the answers that accuracy can be told of, with ``week`` and ``chance``.

    Weeks at the end of which no case was answered yet are left out: answers of earlier weeks do not stand for them.

    Args:
        served: ``served_answers``.

    Returns:
        ``served`` with ``week``, that of the conversation's first message, and ``chance``, how likely the answer is
        right to a model that did not learn from it, null where there is none.
    """
    dated = served.with_columns(week=pl.col("occurred_at").min().over("conversation_id").dt.truncate("1w"))
    told = dated.filter(pl.col("week") <= pl.col("week").filter(pl.col("right").is_not_null()).max())
    chance = predict_correctness(told) if told["right"].is_not_null().sum() >= MIN_CASES else None
    return told.with_columns(chance=pl.lit(None, pl.Float64) if chance is None else chance)


def estimate_accuracy(served: pl.DataFrame) -> ServedAccuracy | TooFew:
    """Estimate the share of right answers among ``served``, from those that people read.

    Which conversations are read is drawn by a hash before any model sees them, and of each week the share that got an
    answer differs: so each week counts as its traffic does, and a conversation as one draw, however many of its
    messages were read. Where an answer's chance of being right is predicted, the prediction stands for what
    nobody read (``shift_mean``). The interval is Wilson's (1927) for as many cases as the variance amounts to (Korn and
    Graubard, 1998), which keeps it within [0, 1] and right near its ends.

    Args:
        served: ``add_chances``, or a slice of it.
    """
    known = served.filter(pl.col("right").is_not_null())
    errors = int((~known["right"]).sum())
    if known.height < MIN_CASES or errors < MIN_ERRORS:
        return TooFew(known.height, errors)
    layers = _layers(served)
    accuracy, error = _audit_only(layers)
    alone = best = _wilson(accuracy, error, known.height)
    is_predicted = known["chance"].null_count() == 0 and known.height < served.height
    if is_predicted:
        shift, error = _shift(layers)
        best = _wilson(accuracy + shift, error * layers.few, known.height)
    method: Method = "prediction-powered" if is_predicted else "audit cases only"
    return ServedAccuracy(known.height, errors, served.height, best, method, alone)


def slice_accuracy(served: pl.DataFrame) -> list[Slice]:
    """Estimate accuracy by what was answered, by channel and by segment, each value on its own.

    Args:
        served: ``add_chances``.

    Returns:
        One slice a column and value, in the order of ``SLICES``, the largest first; messages without the value are in
        none.
    """
    return [
        Slice(column, value, estimate_accuracy(served.filter(pl.col(column) == value)))
        for column in SLICES
        for value in _largest_first(served[column])
    ]


def follow_accuracy(served: pl.DataFrame) -> list[Period]:
    """Estimate accuracy week by week; weeks in a row are taken together until they bear a figure.

    Args:
        served: ``add_chances``.
    """
    periods: list[Period] = []
    weeks = served["week"].unique().sort().to_list()
    first = 0
    for last, week in enumerate(weeks):
        found = estimate_accuracy(served.filter(pl.col("week").is_between(weeks[first], week)))
        if isinstance(found, ServedAccuracy) or last == len(weeks) - 1:
            periods.append(Period(weeks[first], week + timedelta(days=7), found))
            first = last + 1
    return periods


@dataclass(frozen=True)
class _Layers:
    """Conversations as draws, within layers of weeks, each less the mean of its layer.

    ``accuracy`` is the audit cases' own, each layer weighted as its traffic. (n,) of the read conversations: ``right``,
    ``chance`` and ``weight`` (the traffic that each stands for, of mean 1); (m,) of the others: ``elsewhere`` and
    ``size``. ``few`` is what the means of the layers took from the spread, >= 1.
    """

    accuracy: float
    right: np.ndarray
    chance: np.ndarray
    weight: np.ndarray
    elsewhere: np.ndarray
    size: np.ndarray
    few: float


def _layers(served: pl.DataFrame) -> _Layers:
    is_known = pl.col("right").is_not_null()
    messages = served.join(_join_weeks(served), on="week").with_columns(right=pl.col("right").cast(pl.Float64))
    layers = messages.group_by("layer", maintain_order=True).agg(
        traffic=pl.len(),
        read=is_known.sum(),
        right_mean=pl.col("right").mean(),
        chance_mean=pl.coalesce(pl.col("chance").filter(~is_known).mean(), pl.col("chance").mean()),
    )
    units = (
        messages.join(layers, on="layer")
        .group_by("layer", "conversation_id", known=is_known, maintain_order=True)
        .agg(
            right=(pl.col("right") - pl.col("right_mean")).mean(),
            chance=(pl.col("chance") - pl.col("chance_mean")).mean(),
            size=pl.len().cast(pl.Float64),
            weight=pl.len() * (pl.col("traffic") / pl.col("read")).first(),
        )
    )
    known, others = units.filter("known"), units.filter(~pl.col("known"))
    accuracy = (layers["traffic"] * layers["right_mean"]).sum() / served.height
    few = np.sqrt((known.height - 1) / max(1, known.height - layers.height))
    weight = known["weight"].to_numpy() / float(known["weight"].mean())  # pyright: ignore[reportArgumentType]
    return _Layers(
        float(accuracy), known["right"].to_numpy(), known["chance"].to_numpy(), weight,
        others["chance"].to_numpy(), others["size"].to_numpy(), float(few),
    )  # fmt: skip


def _largest_first(values: pl.Series) -> list[str]:
    counts = values.drop_nulls().value_counts().sort(["count", values.name], descending=[True, False])
    return counts[values.name].to_list()


def _join_weeks(served: pl.DataFrame) -> pl.DataFrame:
    """Return ``week`` and ``layer``: weeks in a row until each layer has ``MIN_A_WEEK`` read conversations."""
    read = pl.col("conversation_id").filter(pl.col("right").is_not_null()).n_unique()
    weeks = served.group_by("week").agg(read=read).sort("week")
    layers, held = [0], 0
    for count in weeks["read"]:
        held += count
        layers.append(layers[-1] + (held >= MIN_A_WEEK))
        held = 0 if held >= MIN_A_WEEK else held
    last = max(0, layers[-1] - 1)
    return weeks.select("week", layer=pl.Series([min(layer, last) for layer in layers[:-1]], dtype=pl.Int64))


def _audit_only(layers: _Layers) -> tuple[float, float]:
    spread = np.mean((layers.weight * layers.right) ** 2) / len(layers.right)
    return layers.accuracy, float(np.sqrt(spread)) * layers.few


def _shift(layers: _Layers) -> tuple[float, float]:
    """Return by how much the predictions move the audit cases' own accuracy, and the standard error of the result."""
    from training.judging.prediction_powered import shift_mean

    return shift_mean(layers.right, layers.chance, layers.elsewhere, weights=layers.weight, sizes=layers.size)


def _wilson(value: float, error: float, cases: int) -> Interval:
    from statsmodels.stats.proportion import proportion_confint

    value = min(1.0, max(0.0, value))
    spread = value * (1 - value)
    worth = spread / error**2 if error and spread else cases
    low, high = proportion_confint(value * worth, worth, method="wilson")
    return Interval(value, float(low), float(high))  # pyright: ignore[reportArgumentType]


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
