"""How a customer's mood goes over a conversation: turn by turn, where it was lowest, which way it is going."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TurnSentiment:
    """The mood of one customer turn: its label, and ``score``, the expected rating, in [-1, 1]."""

    label: str
    score: float


@dataclass(frozen=True)
class SentimentPath:
    """The mood of the customer turns that were read, in order.

    Attributes:
        turns: each of them; empty where no task reads mood.
        trend: the slope of a straight line through the scores, a turn; 0 of fewer than two turns.
        low: the lowest score, None where there is no turn.
        alarm: whether mood is as low, or has fallen as far, as it seldom does where no person is needed.
    """

    turns: tuple[TurnSentiment, ...]
    trend: float
    low: float | None
    alarm: bool

    @classmethod
    def of(cls, turns: Sequence[TurnSentiment], *, alarm: bool) -> "SentimentPath":
        """Return the path over ``turns``."""
        scores = np.array([turn.score for turn in turns])
        return cls(tuple(turns), measure_trend(scores), float(scores.min()) if len(scores) else None, alarm)


def measure_trend(scores: np.ndarray) -> float:
    """Return the slope of the least-squares line through ``scores`` (n,), a turn; 0 of fewer than two."""
    if len(scores) < 2:
        return 0.0
    steps = np.arange(len(scores)) - (len(scores) - 1) / 2
    return float(steps @ scores / (steps @ steps))


def measure_fall(scores: np.ndarray) -> float:
    """Return how far the last of ``scores`` (n,) lies below the best before it, in [0, 2]; 0 where it does not."""
    return max(0.0, float(scores[:-1].max() - scores[-1])) if len(scores) > 1 else 0.0


def measure_strain(scores: np.ndarray) -> float:
    """Return what the alarm goes by, in [-1, 3]: how negative the last turn is, plus its fall; -1 of no turn."""
    return -float(scores[-1]) + measure_fall(scores) if len(scores) else -1.0
