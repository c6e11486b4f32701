"""What a learning curve says: how many labels reach a share of full-data accuracy, beside labels drawn alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

LEVELS: Final = (0.90, 0.95, 0.98)
"""Shares of the accuracy with all labels."""


@dataclass(frozen=True)
class Curve:
    """One seed's accuracies, in [0, 1], by how many texts were labelled.

    ``full`` is the accuracy of plain logistic regression with the whole pool of ``pool`` texts labelled.
    """

    budgets: tuple[int, ...]
    accuracies: tuple[float, ...]
    full: float
    pool: int


@dataclass(frozen=True)
class Estimate:
    """A value and its 95% interval; ``low`` and ``high`` are None where one seed says nothing of chance."""

    value: float
    low: float | None
    high: float | None


def labels_to(curve: Curve, level: float) -> float | None:
    """Return the first budget from which accuracy stays at or above ``level`` of full-data accuracy.

    Between two budgets on a straight line. The smallest budget where that is enough already; None where the last
    budget of the curve is not.
    """
    wanted = level * curve.full - 1e-9
    below = [place for place, accuracy in enumerate(curve.accuracies) if accuracy < wanted]
    if not below:
        return float(curve.budgets[0])
    last = below[-1]
    if last + 1 == len(curve.budgets):
        return None
    share = (wanted - curve.accuracies[last]) / (curve.accuracies[last + 1] - curve.accuracies[last])
    return curve.budgets[last] + share * (curve.budgets[last + 1] - curve.budgets[last])


def labels_at_least(curve: Curve, level: float) -> float:
    """Return ``labels_to``, or the curve's last budget where it does not stay there: at least so many."""
    found = labels_to(curve, level)
    return float(curve.budgets[-1]) if found is None else found


def mean_with_interval(values: Sequence[float]) -> Estimate:
    """Return the mean over seeds with Student's t interval; n >= 1."""
    return _estimate(float(np.mean(values)), np.asarray(values, dtype=float))


def ratio_with_interval(values: Sequence[float], base: Sequence[float]) -> Estimate:
    """Return the mean of ``values`` over the mean of ``base``, seed by seed, with a t interval.

    The interval is of the linearised ratio (Cochran, 1977, chapter 6), which keeps the pairing of the seeds.
    """
    above, below = np.asarray(values, dtype=float), np.asarray(base, dtype=float)
    ratio = float(above.mean() / below.mean())
    return _estimate(ratio, ratio + (above - ratio * below) / below.mean())


def _estimate(value: float, parts: np.ndarray) -> Estimate:
    from scipy import stats

    if len(parts) < 2:
        return Estimate(value, None, None)
    reach = float(stats.t.ppf(0.975, len(parts) - 1) * stats.sem(parts))
    return Estimate(value, value - reach, value + reach)


@dataclass(frozen=True)
class Gap:
    """How far a curve is above another (below where negative), in points of accuracy, and with how many labels."""

    points: float
    budget: int


def find_worst_gap(curves: Sequence[Curve], base: Sequence[Curve], *, least: int) -> Gap:
    """Return the least difference, in means over seeds, at the budgets that every curve has.

    Args:
        curves: one a seed.
        base: another strategy's, of the same seeds.
        least: smaller budgets are left out, where there are others: what hardly any label taught is chance.
    """
    every = sorted(set.intersection(*(set(curve.budgets) for curve in (*curves, *base))))
    shared = [budget for budget in every if budget >= least] or every[-1:]
    gaps = [100 * (_mean_at(curves, budget) - _mean_at(base, budget)) for budget in shared]
    worst = int(np.argmin(gaps))
    return Gap(gaps[worst], shared[worst])


def _mean_at(curves: Sequence[Curve], budget: int) -> float:
    return float(np.mean([curve.accuracies[curve.budgets.index(budget)] for curve in curves]))
