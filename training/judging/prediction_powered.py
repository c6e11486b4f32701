"""Prediction-powered means: what a predictor says of everything, put right by the few cases that people read."""

from math import ceil
from typing import Final

import numpy as np

_KNOWN_TIMES: Final = 50
"""The unread units count as so many times the read ones at least, by repetition."""


def shift_mean(
    known: np.ndarray, predicted: np.ndarray, elsewhere: np.ndarray, *, weights: np.ndarray, sizes: np.ndarray
) -> tuple[float, float]:
    """Return the mean of all units and its standard error, both in the unit of ``known``.

    The estimate of Angelopoulos et al. (Science, 2023), with the weight of the predictions tuned to the smallest
    variance (PPI++, 2024): predictions that tell nothing get weight 0, and what is left is the mean of ``known``.
    The mean of the units themselves is meant, not of a population that they were drawn from: the mean of their
    predictions is known then, and adds no variance. The library takes the unread units for a sample, so they are
    repeated until that sample's variance counts for nothing. What is left out, that read units have no doubt about
    themselves, makes the error a little too large, never too small.

    Args:
        known: (n,) what people found, of the units that they read.
        predicted: (n,) what a predictor that did not learn from a unit says of it.
        elsewhere: (m,) what it says of the units that nobody read, m > 0.
        weights: (n,) how much of everything each read unit stands for, of any scale.
        sizes: (m,) the same of the others.
    """
    from ppi_py import ppi_mean_ci
    from scipy.stats import norm

    times = ceil(_KNOWN_TIMES * len(known) / len(elsewhere))
    unread, unread_sizes = np.tile(elsewhere, times), np.tile(sizes, times)
    ends = ppi_mean_ci(known, predicted, unread, alpha=0.05, w=weights, w_unlabeled=unread_sizes)
    low, high = (float(np.ravel(end)[0]) for end in ends)
    return (low + high) / 2, (high - low) / (2 * float(norm.ppf(0.975)))
