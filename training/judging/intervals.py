"""Shares with their intervals."""

from dataclasses import dataclass
from typing import Final

CONFIDENCE: Final = 0.95


@dataclass(frozen=True)
class Rate:
    """A share of ``cases`` with its 95% Wilson interval, all in [0, 1]."""

    cases: int
    value: float
    low: float
    high: float


def wilson_interval(found: int, cases: int) -> tuple[float, float]:
    """Return the ends of the 95% interval of a share (Wilson, 1927), within [0, 1]; all of it where there are no cases.

    Args:
        found: how many of the cases, in [0, cases].
        cases: >= 0.
    """
    from scipy.stats import binomtest

    if not cases:
        return 0.0, 1.0
    interval = binomtest(found, cases).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def measure_rate(found: int, cases: int, *, least: int = 1) -> Rate | None:
    """Return the share ``found`` of ``cases``; None where there are fewer than ``least`` (>= 1)."""
    return Rate(cases, found / cases, *wilson_interval(found, cases)) if cases >= least else None
