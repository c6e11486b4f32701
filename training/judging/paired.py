"""Two models on the same cases: what their differences show, and what so few cases could have shown.

Both answer the same cases, so only those on which one is right and the other wrong say anything: *losses* (the
champion was right, the challenger is wrong) and *wins*. Were the two equally good, each such case would be either with
one half, and the number of losses is binomial. That is the exact test of McNemar (1947), one-sided. It needs no large
numbers and assumes nothing of the cases.
"""

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

_MOST_CASES: Final = 1_000_000


def mcnemar(losses: ArrayLike, wins: ArrayLike) -> np.ndarray:
    """Return the chance of at least so many losses were both models equally good: exact, one-sided, in (0, 1].

    Swapped, it is the chance of at least so many wins. Without a case on which one of them is right it is 1.

    Args:
        losses: how many cases, of any shape (a single number too).
        wins: the same, of that shape.
    """
    from scipy.special import bdtrc

    lost, won = np.asarray(losses, dtype=np.int64), np.asarray(wins, dtype=np.int64)
    return np.where(lost > 0, bdtrc(np.maximum(lost - 1, 0), np.maximum(lost + won, 1), 0.5), 1.0)


def exclude_loss(wins: int, losses: int, cases: int, *, margin: float) -> float:
    """Return the chance of so good a difference were the challenger worse by ``margin``, in [0, 1].

    The score test of Tango (1998) for a paired difference of proportions: small means that it is shown to be less than
    ``margin`` worse. Without cases it is 1.

    Args:
        wins: cases on which the challenger alone is right.
        losses: cases on which the champion alone is right.
        cases: all of them.
        margin: in [0, 1).
    """
    from scipy.stats import norm

    return float(norm.sf(_tango_score(wins, losses, cases, -margin))) if cases else 1.0


def difference_interval(wins: int, losses: int, cases: int, *, confidence: float) -> tuple[float, float]:
    """Return the interval of the difference (wins - losses) / cases, within [-1, 1], by Tango's score (1998).

    It holds the differences that the score test does not refute, which keeps its coverage with few cases and without
    any win or loss. All of [-1, 1] where there are no cases.

    Args:
        wins: cases on which the challenger alone is right.
        losses: cases on which the champion alone is right.
        cases: all of them.
        confidence: of the two-sided interval, in (0, 1).
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    if not cases:
        return -1.0, 1.0
    reach, middle, edge = float(norm.isf((1 - confidence) / 2)), (wins - losses) / cases, 1 - 1e-12

    def end(side: int) -> float:
        beyond = side * edge
        if side * (beyond - middle) <= 0 or -side * _tango_score(wins, losses, cases, beyond) < reach:
            return float(side)
        start = middle + side * 1e-9
        return float(brentq(lambda value: side * _tango_score(wins, losses, cases, value) + reach, start, beyond))  # pyright: ignore[reportArgumentType]

    return end(-1), end(1)


def _tango_score(wins: int, losses: int, cases: int, difference: float) -> float:
    """Return how many standard errors the difference lies above ``difference``, were that the true one."""
    linear = difference * (2 * cases - wins + losses) - wins - losses
    constant = -losses * difference * (1 - difference)
    chance = (np.sqrt(max(0.0, linear**2 - 8 * cases * constant)) - linear) / (4 * cases)
    variance = cases * (2 * chance + difference * (1 - difference))
    above = wins - losses - cases * difference
    return float(above / np.sqrt(variance)) if variance > 1e-15 else float(np.sign(above)) * np.inf if above else 0.0


@lru_cache(maxsize=4096)
def power_to_show(cases: int, difference: float, against: float, level: float) -> float:
    """Return the chance that the exact test at ``level`` shows a true ``difference``, in [0, 1]: exact.

    Args:
        cases: how many (>= 0).
        difference: by how much the share of cases that speak for it exceeds that of those against it, in [0, 1].
        against: the share of cases that speak against it; no more is taken than leaves room, (1 - difference) / 2.
        level: the p-value that is needed.
    """
    from scipy.special import bdtrc

    against = min(against, (1 - difference) / 2)
    differing = difference + 2 * against
    if not cases or not differing:
        return 0.0
    reach = 7 * np.sqrt(cases * differing * (1 - differing)) + 1
    counts = np.arange(max(1, int(cases * differing - reach)), min(cases, int(cases * differing + reach)) + 1)
    needed = _losses_needed(counts, level)
    shown = np.where(
        needed <= counts, bdtrc(np.minimum(needed, counts) - 1, counts, (difference + against) / differing), 0
    )
    return float((_binomial(counts, cases, differing) * shown).sum())


def _losses_needed(counts: np.ndarray, level: float) -> np.ndarray:
    """Return how many of each of ``counts`` fair draws are needed for a p-value of ``level``; maybe more than all."""
    from scipy.special import bdtrc, bdtrik

    needed = np.ceil(bdtrik(1 - level, counts, 0.5)).astype(np.int64) + 1
    return np.where(bdtrc(np.maximum(needed - 2, 0), counts, 0.5) <= level, needed - 1, needed)


def _binomial(counts: np.ndarray, cases: int, share: float) -> np.ndarray:
    from scipy.special import gammaln, xlog1py, xlogy

    ways = gammaln(cases + 1) - gammaln(counts + 1) - gammaln(cases - counts + 1)
    return np.exp(ways + xlogy(counts, share) + xlog1py(cases - counts, -share))


@lru_cache(maxsize=4096)
def smallest_shown(cases: int, against: float, level: float, power: float) -> float | None:
    """Return the smallest difference that so many cases show with chance ``power``; None where they show none at all.

    Args:
        cases: how many (>= 0).
        against: the share of cases that speak against it, in [0, 0.5).
        level: the p-value that is needed.
        power: in (0, 1).
    """
    low, high = 0.0, 1.0
    if power_to_show(cases, high, against, level) < power:
        return None
    while high - low > 0.001:
        middle = (low + high) / 2
        low, high = (low, middle) if power_to_show(cases, middle, against, level) >= power else (middle, high)
    return high


@lru_cache(maxsize=4096)
def cases_to_show(difference: float, against: float, level: float, power: float) -> int:
    """Return about how many cases show a true ``difference`` with chance ``power``; at most a million.

    Exact tests gain power in small steps up and down, so a few cases more may show it a little less often.

    Args:
        difference: in (0, 1].
        against: the share of cases that speak against it.
        level: the p-value that is needed.
        power: in (0, 1).
    """
    low, high = 0, 8
    while high < _MOST_CASES and power_to_show(high, difference, against, level) < power:
        low, high = high, 2 * high
    while high - low > 1 and high <= _MOST_CASES:
        middle = (low + high) // 2
        low, high = (low, middle) if power_to_show(middle, difference, against, level) >= power else (middle, high)
    return min(high, _MOST_CASES)


def holm(chances: ArrayLike, level: float) -> np.ndarray:
    """Return which of several null hypotheses are refuted, (n,) bool: any true one with a chance of ``level`` at most.

    The step-down procedure of Holm (1979), whatever hangs together among them.

    Args:
        chances: (n,) p-values.
        level: in (0, 1).
    """
    values = np.asarray(chances, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    kept = values[order] <= level / np.arange(len(values), 0, -1)
    refuted = np.zeros(len(values), dtype=bool)
    refuted[order] = np.logical_and.accumulate(kept)
    return refuted


def resample_mean(
    differences: np.ndarray, *, rng: np.random.Generator, enough: int = 20, most: int = 2000, block: int = 40
) -> float:
    """Return the share of paired bootstrap samples whose mean difference is not above zero, in (0, 1].

    Small means that the mean is shown to be above zero (Efron, 1979). Sampling stops as soon as ``enough`` such samples
    were seen (Besag and Clifford, 1991): where nothing is to be shown, that takes few.

    Args:
        differences: (n,) of the cases; 1 where there are none.
        rng: the only source of chance.
        enough: after how many samples without a difference above zero it stops (>= 1).
        most: the samples that it never exceeds (>= 1).
        block: how many are drawn at a time.
    """
    cases, seen, drawn = len(differences), 0, 0
    if not cases:
        return 1.0
    while drawn < most and seen < enough:
        means = differences[rng.integers(cases, size=(block, cases), dtype=np.int32)].mean(axis=1)
        seen += int((means <= 0).sum())
        drawn += block
    return (seen + 1) / (drawn + 1)


def compare_detection(before: np.ndarray, after: np.ndarray, outside: np.ndarray) -> tuple[float, float, float]:
    """Return both areas under the ROC curve, and the chance of so great a fall were they equal.

    The test of DeLong, DeLong and Clarke-Pearson (1988) for two scores of the same cases, one-sided.

    Args:
        before: (n,) a score that should be higher for cases outside; ``-inf`` is lowest.
        after: (n,) another of the same cases.
        outside: (n,) bool, at least two of each kind.
    """
    from scipy.stats import norm, rankdata

    inside, count = ~outside, int(outside.sum())
    places = []
    for score in (before, after):
        among_all = rankdata(score)
        above = (among_all[outside] - rankdata(score[outside])) / inside.sum()
        below = 1 - (among_all[inside] - rankdata(score[inside])) / count
        places.append((above, below))
    was, now = (float(above.mean()) for above, _ in places)
    spread = sum(np.var(places[1][kind] - places[0][kind], ddof=1) / len(places[0][kind]) for kind in (0, 1))
    if spread <= 0:
        return was, now, 1.0 if now >= was else 0.0
    return was, now, float(norm.sf((was - now) / np.sqrt(spread)))


def deal_losses(losses: int, wins: int, cases: int, *, of: tuple[int, int, int]) -> float:
    """Return the chance that a group of cases fares so badly, were it drawn at random among all cases: exact.

    The permutation test (Fisher, 1935) of the group's wins less its losses: small means that the group fared worse than
    the others.

    Args:
        losses: of the group.
        wins: of the group.
        cases: of the group.
        of: losses, wins and cases of all, the group among them.
    """
    from scipy.stats import hypergeom

    all_losses, all_wins, everything = of
    lost = np.arange(max(0, cases - (everything - all_losses)), min(all_losses, cases) + 1)
    chance = hypergeom.pmf(lost, everything, all_losses, cases)
    fewer = hypergeom.cdf(wins - losses + lost, everything - all_losses, all_wins, cases - lost)
    return float(min(1.0, (chance * fewer).sum()))


def compare_failures(after: int, before: int, cases: int) -> float:
    """Return the chance of at least so many failures after, had both the same rate: Fisher's exact test (1935).

    Both were tried ``cases`` times. Tried on the same cases, the two go together, which makes the test careful.
    """
    from scipy.stats import hypergeom

    return float(hypergeom.sf(after - 1, 2 * cases, after + before, cases)) if cases else 1.0
