"""Shares of small groups, drawn to what all groups are: partial pooling by empirical Bayes."""

from math import lgamma
from typing import Final

import numpy as np

_STRENGTHS: Final = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)


def shrink_shares(hits: np.ndarray, tries: np.ndarray, *, right: float, wrong: float) -> tuple[np.ndarray, float]:
    """Return the share of each group, and that of a group of which nothing is known.

    The groups' shares come from one Beta distribution; its mean is that of all tries, its strength (how alike the
    groups are) the likeliest of a grid under the beta-binomial model (Efron & Morris's idea, for shares).

    Args:
        hits: (groups,) of ``tries``; both may be expected counts, so not whole.
        tries: (groups,).
        right: what is believed of all groups before any try, as so many hits ...
        wrong: ... and so many misses.

    Returns:
        shares (groups,) in (0, 1), and the mean.
    """
    mean = float((hits.sum() + right) / (tries.sum() + right + wrong))
    likelihood = [_log_likelihood(hits, tries, mean * strength, (1 - mean) * strength) for strength in _STRENGTHS]
    strength = _STRENGTHS[int(np.argmax(np.round(likelihood, 9)))] if tries.sum() else _STRENGTHS[-1]
    return (hits + strength * mean) / (tries + strength), mean


def _log_likelihood(hits: np.ndarray, tries: np.ndarray, a: float, b: float) -> float:
    alone = lgamma(a + b) - lgamma(a) - lgamma(b)
    return sum(
        alone + lgamma(hit + a) + lgamma(max(count - hit, 0.0) + b) - lgamma(count + a + b)
        for hit, count in zip(hits, tries, strict=True)
    )
