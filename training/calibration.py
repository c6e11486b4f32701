"""Confidence that means what it says: one temperature for a model, and how far off it is."""

import math
from typing import Any

import numpy as np


def fit_temperature(logits: np.ndarray, targets: np.ndarray, *, spread: float = math.inf) -> float:
    """Return the temperature that makes held-out answers likeliest (Guo et al., 2017).

    The search is bounded to [0.2, 10]: where every answer is right, the best temperature is zero, and a model that
    is never in doubt is not what a handful of cases can show.

    Args:
        logits: of cases that were not trained on, (n, labels); n >= 1.
        targets: the column of each case's true label, (n,) int.
        spread: how far the temperature is expected from 1 beforehand: the scale (> 0) of a Cauchy prior of its
            logarithm, which cases that leave little doubt overrule, wherever it is; infinite where nothing is known.
    """
    from scipy.optimize import minimize_scalar

    def cost(log: float) -> float:
        unlikely = math.log1p((log / spread) ** 2) / len(targets)
        return negative_log_likelihood(logits, targets, float(np.exp(log))) + unlikely

    everywhere, near_one = (np.log(0.2), np.log(10.0)), (-5 * spread, 5 * spread)
    searched = [everywhere] if math.isinf(spread) else [everywhere, near_one]  # the prior may make two valleys
    found: list[Any] = [minimize_scalar(cost, bounds=bounds, method="bounded") for bounds in searched]
    return math.exp(min((one.x for one in found), key=cost))


def negative_log_likelihood(logits: np.ndarray, targets: np.ndarray, temperature: float = 1.0) -> float:
    """Return the mean of -log p(true label) at ``temperature``, in nats, >= 0; 0 is certain and right."""
    from scipy.special import log_softmax

    scaled = log_softmax(logits.astype(np.float64) / temperature, axis=1)
    return float(-scaled[np.arange(len(targets)), targets].mean())


def brier_score(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Return the mean squared distance of the probabilities from the truth (Brier, 1950), in [0, 2]; 0 is best.

    Args:
        probabilities: of every label, (n, labels), each row summing to 1; n >= 1.
        targets: the column of each case's true label, (n,) int.
    """
    rows = np.arange(len(targets))
    squares = np.square(probabilities.astype(np.float64)).sum(axis=1)
    return float((squares - 2 * probabilities[rows, targets] + 1).mean())


def expected_calibration_error(confidences: np.ndarray, correct: np.ndarray, *, bins: int = 15) -> float:
    """Return the mean gap between confidence and accuracy over bins of equal width (Naeini et al., 2015).

    In [0, 1]; 0 is calibrated. Biased upwards where n is small: a perfect model of 200 cases shows several points.

    Args:
        confidences: of each case's answer, in [0, 1], (n,); n >= 1.
        correct: whether each answer was right, (n,) bool.
        bins: how many.
    """
    place = np.clip((confidences * bins).astype(int), 0, bins - 1)
    gaps = np.bincount(place, weights=confidences - correct.astype(np.float64), minlength=bins)
    return float(np.abs(gaps).sum() / len(confidences))


def calibration_floor(
    confidences: np.ndarray, *, rng: np.random.Generator, bins: int = 15, simulations: int = 1000
) -> float:
    """Return the calibration error that a perfectly calibrated model of these very confidences shows by chance.

    Each answer is drawn right with the probability that its confidence states, and the error is taken; the mean over
    the simulations is what no model of so many cases can be expected to stay below (Kumar et al., 2019, on the bias).

    Args:
        confidences: as of ``expected_calibration_error``.
        rng: the only source of chance.
        bins: as of ``expected_calibration_error``.
        simulations: how many (>= 1).
    """
    drawn = (rng.random(len(confidences)) < confidences for _ in range(simulations))
    return float(np.mean([expected_calibration_error(confidences, correct, bins=bins) for correct in drawn]))
