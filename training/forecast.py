"""What more labels would bring, before anyone trains: a learning curve measured on frozen features, carried on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from training.heads import apply_head, fit_head

MIN_POINTS: Final = 4
"""Sizes of a curve below which its form cannot be told."""
MIN_LABELS: Final = 100
"""Labels below which a curve says too little."""

_DRAWS: Final = 400
_EXPONENTS: Final = np.geomspace(0.05, 2.0, 60)
_PENALTY: Final = 10.0
_MAX_ITERATIONS: Final = 60
_MOST_ROWS: Final = 5_000
"""Rows of the largest size that is fitted, unless asked for otherwise: a curve's form shows before that."""


@dataclass(frozen=True)
class CurvePoint:
    """The accuracy, in [0, 1], of one fit on ``labels`` labels of one subset (``seed``)."""

    labels: int
    accuracy: float
    seed: int


@dataclass(frozen=True)
class Forecast:
    """What ``labels`` labels would give: accuracy in [0, 1], the gain over today's, each with its 90% interval.

    All are of the frozen features with a logistic regression; a fine-tuned model stands above it, its gains are
    alike. ``why_not`` says why nothing can be told; figures are then None.
    """

    labels: int
    accuracy: tuple[float, float, float] | None
    gain: tuple[float, float, float] | None
    why_not: str = ""


def measure_curve(
    features: np.ndarray,
    targets: np.ndarray,
    is_dev: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    sizes: Sequence[int] | None = None,
    seeds: Sequence[int] = (0, 1, 2),
) -> list[CurvePoint]:
    """Fit the head on nested subsets of the training rows, and measure each on dev.

    Args:
        features: (n, d), each of length 1.
        targets: label numbers, (n,) int from 0.
        is_dev: which rows are measured on, (n,) bool; a dev row whose label a subset lacks counts as wrong.
        groups: of each row, (n,) int: a group enters a subset as a whole, so that copies do not pass for news. None
            where each row is its own.
        sizes: numbers of labels; by default six, each 1.4 times the one before, up to the training rows or 5,000.
        seeds: one order of the groups each.

    Returns:
        A point for each size and seed; none for a size at which a subset has fewer than two labels.
    """
    train = np.flatnonzero(~is_dev)
    own = np.arange(len(targets)) if groups is None else groups
    points = []
    for seed in seeds:
        order = _order(train, own, np.random.default_rng(seed))
        for size in sizes or plan_sizes(len(train)):
            rows = order[:size]
            if len(rows) == size and len(np.unique(targets[rows])) > 1 and is_dev.any():
                accuracy = _measure(features[rows], targets[rows], features[is_dev], targets[is_dev])
                points.append(CurvePoint(size, accuracy, seed))
    return points


def plan_sizes(available: int) -> list[int]:
    """Return up to six sizes, each 1.4 times the one before, the last being all rows that there are or 5,000."""
    sizes = {int(min(available, _MOST_ROWS) / 1.4**step) for step in range(6)}
    return sorted(size for size in sizes if size >= 10)


def forecast_gain(
    points: Sequence[CurvePoint], *, now: int, new: int, dev_rows: int, rng: np.random.Generator
) -> Forecast:
    """Carry a learning curve on: the error falls as a power of the number of labels, down to a floor.

    Error = a * labels**-b + c (Hestness et al., 2017; of 16 forms the power law with a floor is among the best over
    most curves in Viering and Loog, 2023). The interval is of a parametric bootstrap: each mean
    gets the chance of its subsets, and of a dev split of ``dev_rows``, the latter the same at all sizes.

    Args:
        points: of ``measure_curve``; several seeds.
        now: the labels that there are.
        new: how many more.
        dev_rows: how many rows each accuracy was measured on.
        rng: the only source of chance.
    """
    sizes = np.array(sorted({point.labels for point in points}))
    if why := _too_little(points, sizes, now, dev_rows):
        return Forecast(now + new, None, None, why)
    seeds = sorted({point.seed for point in points})
    errors = np.full((len(seeds), len(sizes)), np.nan)
    for point in points:
        errors[seeds.index(point.seed), int(np.searchsorted(sizes, point.labels))] = 1 - point.accuracy
    asked = np.array([now, now + new], dtype=float)
    means = np.nanmean(errors, axis=0)
    value = _extrapolate(sizes, means[None], asked)[0]
    drawn = _extrapolate(sizes, _resample(errors, means, dev_rows, rng), asked)
    return Forecast(
        now + new, _interval(1 - value[1], 1 - drawn[:, 1]), _interval(value[0] - value[1], drawn[:, 0] - drawn[:, 1])
    )


def forecast_minutes(texts: int, runs: Sequence[float]) -> tuple[float, float, float] | None:
    """Return the minutes that a run takes: as fast as the middle one, the fastest and the slowest of earlier runs.

    Args:
        texts: training texts, each counted as often as it is read.
        runs: texts a second of earlier runs on this machine with this recipe; without any, None: unknown.
    """
    known = sorted(speed for speed in runs if speed > 0)
    if not known:
        return None
    return tuple(texts / speed / 60 for speed in (float(np.median(known)), known[-1], known[0]))  # type: ignore[return-value]


def _order(train: np.ndarray, groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the training rows, groups in a random order and each in one piece."""
    found, inverse = np.unique(groups[train], return_inverse=True)
    return train[np.argsort(rng.permutation(len(found))[inverse], kind="stable")]


def _measure(features: np.ndarray, targets: np.ndarray, dev: np.ndarray, truth: np.ndarray) -> float:
    labels, numbers = np.unique(targets, return_inverse=True)
    head = fit_head(features, numbers, np.ones(len(numbers)), inverse_penalty=_PENALTY, max_iterations=_MAX_ITERATIONS)
    return float((labels[apply_head(dev, head).argmax(axis=1)] == truth).mean())


def _too_little(points: Sequence[CurvePoint], sizes: np.ndarray, now: int, dev_rows: int) -> str:
    if now < MIN_LABELS:
        return f"too little to say: {now} labels, {MIN_LABELS} are needed"
    if len(sizes) < MIN_POINTS:
        return f"too little to say: a curve of {len(sizes)} sizes, {MIN_POINTS} are needed"
    if dev_rows < MIN_LABELS // 4:
        return f"too little to say: {dev_rows} labels in the development split, {MIN_LABELS // 4} are needed"
    return "" if len({point.seed for point in points}) > 1 else "too little to say: one subset of each size"


def _resample(errors: np.ndarray, means: np.ndarray, dev_rows: int, rng: np.random.Generator) -> np.ndarray:
    """Return mean errors by size as they might have been, (draws, sizes)."""
    spread = float(np.nanmean(np.nanstd(errors, axis=0, ddof=1))) / len(errors) ** 0.5
    shared = np.sqrt(means * (1 - means) / dev_rows)
    own = spread * rng.normal(size=(_DRAWS, len(means)))
    return np.clip(means + own + shared * rng.normal(size=(_DRAWS, 1)), 0, 1)


def _extrapolate(sizes: np.ndarray, errors: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Return the errors that power laws through rows of ``errors`` (m, sizes) give at ``asked`` labels, (m, asked).

    With the exponent held, the law is linear in a and c, so that least squares with neither below 0 are exact; of many
    exponents the best is kept (separable least squares, Golub and Pereyra, 1973). Errors never rise with labels.
    """
    best = np.full(len(errors), np.inf)
    found = np.zeros((len(errors), len(asked)))
    means = errors.mean(axis=1)
    for exponent in _EXPONENTS:
        powers = (sizes / sizes[-1]) ** -exponent
        middle = powers - powers.mean()
        slope = np.maximum((errors * middle).sum(axis=1) / (middle**2).sum(), 0)
        floor = means - slope * powers.mean()
        slope = np.where(floor < 0, (errors * powers).sum(axis=1) / (powers**2).sum(), slope)
        floor = np.maximum(floor, 0)
        cost = ((errors - slope[:, None] * powers - floor[:, None]) ** 2).sum(axis=1)
        law = slope[:, None] * (asked / sizes[-1]) ** -exponent + floor[:, None]
        found = np.where((cost < best)[:, None], law, found)
        best = np.minimum(best, cost)
    return np.clip(found, 0, 1)


def _interval(value: float, drawn: np.ndarray) -> tuple[float, float, float]:
    low, high = np.quantile(drawn, (0.05, 0.95))
    return float(value), float(min(low, value)), float(max(high, value))
