"""Curves of a model's confidence: does it mean what it says, and what is left wrong when the unsure answers go."""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import polars as pl

BINS: Final = 15
MOST_POINTS: Final = 200


@dataclass(frozen=True)
class Curves:
    """Of one model: ``reliability`` and ``risk_coverage``, each a tuple of points.

    A point of reliability is (mean confidence, accuracy, cases) of one bin of confidence that holds cases; one of
    risk-coverage is (coverage, risk): among that share of the cases, the surest, that share is wrong.
    """

    reliability: tuple[tuple[float, float, int], ...]
    risk_coverage: tuple[tuple[float, float], ...]

    @classmethod
    def from_document(cls, said: dict[str, Any]) -> Self:
        """Return the curves that a case file holds."""
        bins = tuple((float(mean), float(share), int(count)) for mean, share, count in said["reliability"])
        return cls(bins, tuple((float(coverage), float(risk)) for coverage, risk in said["risk_coverage"]))


def draw_curves(answers: pl.DataFrame, who: str) -> Curves:
    """Return the curves of ``who`` (challenger, champion, reference), whose confidences must not be null.

    Args:
        answers: answers frame; at least one row.
        who: whose columns.
    """
    confidence = answers[f"{who}_confidence"].to_numpy()
    correct = (answers[who] == answers["truth"]).to_numpy()
    coverage, risk = measure_risk(confidence, correct)
    kept = np.unique(np.linspace(0, len(risk) - 1, min(len(risk), MOST_POINTS)).round().astype(int))
    points = tuple((float(coverage[place]), float(risk[place])) for place in kept)
    return Curves(measure_reliability(confidence, correct), points)


def measure_reliability(
    confidence: np.ndarray, correct: np.ndarray, *, bins: int = BINS
) -> tuple[tuple[float, float, int], ...]:
    """Return (mean confidence, accuracy, cases) of each bin of equal width that holds cases, the least sure first.

    Args:
        confidence: of each answer, in [0, 1], (n,).
        correct: whether it was right, (n,) bool.
        bins: how many (Guo et al., 2017, draw accuracy over confidence so).
    """
    place = np.clip((confidence * bins).astype(int), 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    means, shares = (
        np.bincount(place, weights=values, minlength=bins) / np.maximum(counts, 1)
        for values in (confidence, correct.astype(np.float64))
    )
    return tuple((float(means[one]), float(shares[one]), int(counts[one])) for one in np.flatnonzero(counts))


def measure_risk(confidence: np.ndarray, correct: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return coverage 1/n, 2/n, …, 1 and the share of wrong answers among so many of the surest, both (n,).

    Answers of one confidence come in no order: each counts as the mean of them (Geifman and El-Yaniv, 2017, for the
    curve). The mean of the risks is the area under the curve (AURC), in [0, 1], 0 is best.

    Args:
        confidence: of each answer, (n,), n >= 1.
        correct: whether it was right, (n,) bool.
    """
    _, place, counts = np.unique(-confidence, return_inverse=True, return_counts=True)
    wrong = np.bincount(place, weights=(~correct).astype(np.float64)) / counts
    covered = np.arange(1, len(confidence) + 1)
    return covered / len(confidence), np.cumsum(np.repeat(wrong, counts)) / covered
