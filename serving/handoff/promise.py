"""The promise: the laxest threshold at which wrong answers among those kept are shown to be rare enough."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from pydantic import Field

from labeling.config import Config
from serving.handoff.config import Band

GRID: Final = np.append(1 / (1 + np.exp(-np.arange(-7, 7.01, 0.07))), 1.0)
"""The thresholds that are tried, strictest first: even steps of log odds, then 1, which keeps all. Fixed before any
case is seen: the guarantee rests on that."""

_FORGIVEN: Final = 3
_MOST_TRIED: Final = 40
"""Times one over the promise: so many cases show any promise with three of them wrong."""


class Promise(Config):
    """A threshold and what it was fitted on.

    Attributes:
        threshold: scores up to this are kept, in (0, 1]; None keeps none.
        laxest: the laxest threshold that keeps the promise; None where not even the strictest could be shown to.
        cases: how many calibrate cases it was tested on.
        kept: how many of them ``threshold`` keeps, ``wrong`` of these wrongly.
        error_bound: upper bound on the share of wrong answers among those kept; None where none are.
        confidence: how sure the bound is, in (0, 1).
        own: whether the guarantee is of these cases; a group with too few takes the threshold of all, and has none.
    """

    threshold: float | None = Field(ge=0, le=1)
    laxest: float | None = Field(ge=0, le=1)
    cases: int = Field(ge=0)
    kept: int = Field(ge=0)
    wrong: int = Field(ge=0)
    error_bound: float | None = Field(ge=0, le=1)
    confidence: float = Field(gt=0, lt=1)
    own: bool = True


@dataclass(frozen=True)
class Tested:
    """Calibrate cases on which thresholds are tested: ``scores`` (n,) in [0, 1], ``wrong`` (n,) bool.

    ``eligible`` (n,) bool are those that no rule hands off whatever their score; ``chances`` (n,) in [0, 1) were drawn
    evenly, one a case, and stand for chance in the band.
    """

    scores: np.ndarray
    wrong: np.ndarray
    eligible: np.ndarray
    chances: np.ndarray

    def take(self, rows: np.ndarray) -> "Tested":
        """Return the cases of ``rows``."""
        return Tested(self.scores[rows], self.wrong[rows], self.eligible[rows], self.chances[rows])

    def kept(self, threshold: float) -> np.ndarray:
        """Return which cases a threshold keeps, (n,) bool."""
        return self.eligible & (self.scores <= threshold)


def find_thresholds(
    tested: Tested, *, promised: float, confidence: float, min_cases: int, band: Band
) -> tuple[float, ...]:
    """Return the thresholds at which the promise was shown to hold, strictest first; empty where none.

    Fixed-sequence testing (Angelopoulos et al., Learn then Test, 2021): the thresholds of ``GRID`` are tried strictest
    first, each by an exact binomial test of "more than the promised share is wrong among those kept", and the search
    ends at the first that is not refuted, so that trying many costs no confidence. It begins where ``least_kept`` cases
    are kept; who was right has no say in that. With a band each threshold is tested twice, without chance and with it,
    and must pass both.

    Args:
        tested: the cases.
        promised: the largest share of wrong answers among those kept.
        confidence: how sure that must be.
        min_cases: the least kept count.
        band: chance around the threshold.
    """
    needed = least_kept(int(tested.eligible.sum()), promised=promised, confidence=confidence, min_cases=min_cases)
    found: list[float] = []
    for threshold in GRID:
        kept = tested.kept(threshold)
        rules = [kept]
        if band.width:
            flipped = in_band(tested.scores, threshold, band) & (tested.chances < band.flip) & tested.eligible
            rules.append(kept ^ flipped)
        if any(rule.sum() < needed for rule in rules):
            continue
        if not all(is_shown(int((rule & tested.wrong).sum()), int(rule.sum()), promised, confidence) for rule in rules):
            break
        found.append(float(threshold))
    return tuple(found)


def least_kept(count: int, *, promised: float, confidence: float, min_cases: int) -> int:
    """Return how many of ``count`` cases the first threshold that is tested must keep, at least.

    ``min_cases``; as many as it takes to show the promise without one wrong answer; and as many as it takes with three
    (but no more than half of all), because one label that people got wrong must not end the search at its start.
    """
    from scipy.special import bdtr

    enough = math.ceil(math.log(1 - confidence) / math.log(1 - promised))
    sizes = np.arange(_FORGIVEN + 1, math.ceil(_MOST_TRIED / promised))
    forgiving = sizes[bdtr(_FORGIVEN, sizes, promised) <= 1 - confidence]
    return max(min_cases, enough, min(int(forgiving[0]), count // 2) if len(forgiving) else 0)


def is_shown(wrong: int, kept: int, promised: float, confidence: float) -> bool:
    """Return whether ``wrong`` of ``kept`` refute that more than ``promised`` is wrong (exact binomial test)."""
    from scipy.special import bdtr

    return bool(bdtr(wrong, kept, promised) <= 1 - confidence)


def bound_error(wrong: int, cases: int, confidence: float) -> float:
    """Return the one-sided Clopper-Pearson upper bound on a share of which ``wrong`` of ``cases`` were seen.

    It is the smallest promise that ``is_shown``.
    """
    from scipy.stats import beta

    return 1.0 if wrong >= cases else float(beta.ppf(confidence, wrong + 1, cases - wrong))


def in_band(scores: np.ndarray, threshold: float, band: Band) -> np.ndarray:
    """Return which scores are so near to the threshold that chance has a part, (n,) bool."""
    return (scores > threshold * (1 - band.width)) & (scores <= threshold * (1 + band.width))


def describe(tested: Tested, threshold: float | None, laxest: float | None, confidence: float) -> Promise:
    """Return a threshold with its figures on the cases that it was tested on."""
    kept = tested.kept(threshold) if threshold is not None else np.zeros(len(tested.scores), dtype=bool)
    count, wrong = int(kept.sum()), int((kept & tested.wrong).sum())
    return Promise(
        threshold=threshold,
        laxest=laxest,
        cases=len(tested.scores),
        kept=count,
        wrong=wrong,
        error_bound=bound_error(wrong, count, confidence) if count else None,
        confidence=confidence,
    )
