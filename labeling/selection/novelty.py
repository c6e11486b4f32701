"""How a text lies to what people have labelled: far from all of it, or near to what they put outside every label."""

from typing import Final

import numpy as np

_BLOCK = 1024
_NEIGHBOURS: Final = 10
_WARMTH: Final = 0.1
"""How much closer, in cosine, a neighbour must be to count e times as much."""


def measure_novelty(features: np.ndarray, labelled: np.ndarray) -> np.ndarray:
    """Return the cosine distance from each row of ``features`` to the nearest row of ``labelled``.

    Args:
        features: (n, d), normalised.
        labelled: (m, d), normalised; m may be 0.

    Returns:
        (n,) in [0, 2]; 0 is a copy of something labelled. Not-a-number throughout where nothing is labelled.
    """
    if not len(labelled):
        return np.full(len(features), np.nan)
    nearest = [(features[start : start + _BLOCK] @ labelled.T).max(axis=1) for start in range(0, len(features), _BLOCK)]
    return np.clip(1 - np.concatenate(nearest), 0, 2) if nearest else np.zeros(0)


def usual_novelty(labelled: np.ndarray, share: float) -> float:
    """Return the distance to the nearest other one that ``share`` in (0, 1) of ``labelled`` (m >= 2, d) keep within."""
    nearest = []
    for start in range(0, len(labelled), _BLOCK):
        likeness = labelled[start : start + _BLOCK] @ labelled.T
        rows = np.arange(len(likeness))
        likeness[rows, start + rows] = -1
        nearest.append(likeness.max(axis=1))
    return float(np.quantile(1 - np.concatenate(nearest), share))


def find_far(
    features: np.ndarray, rows: np.ndarray, labelled: np.ndarray, targets: np.ndarray, count: int
) -> np.ndarray:
    """Return ``count`` of ``rows`` that lie farthest from every label's mean: where novel texts are to be looked for.

    The means stand for all that is labelled, so that the cost of a row does not grow with the labels.

    Args:
        features: (n, d), normalised.
        rows: which of them.
        labelled: (m, d), normalised, m >= 1.
        targets: (m,) label numbers.
        count: how many rows (>= 0).
    """
    means = np.stack([labelled[targets == target].mean(axis=0) for target in np.unique(targets)])
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    nearness = [(features[rows[start : start + _BLOCK]] @ means.T).max(axis=1) for start in range(0, len(rows), _BLOCK)]
    return rows[np.argsort(np.concatenate(nearness), kind="stable")[:count]] if nearness else rows


def measure_rejection(features: np.ndarray, labelled: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return how far each row looks like what people answered "none of these" to, by its nearest labelled neighbours.

    It is the reject class's share of the ten nearest, the closest counting most, times the cosine of the nearest
    rejected one: a row far from all that was rejected is not held to be of it.

    Args:
        features: (n, d), normalised.
        labelled: (m, d), normalised; m may be 0.
        targets: (m,) label numbers, -1 for the reject class.

    Returns:
        (n,) in [0, 1]; 0 throughout where nothing was rejected.
    """
    is_rejected = targets == -1
    if not is_rejected.any():
        return np.zeros(len(features))
    shares = [
        _rejected_share(features[start : start + _BLOCK] @ labelled.T, is_rejected)
        for start in range(0, len(features), _BLOCK)
    ]
    return np.concatenate(shares) if shares else np.zeros(0)


def _rejected_share(similarity: np.ndarray, is_rejected: np.ndarray) -> np.ndarray:
    count = min(_NEIGHBOURS, similarity.shape[1])
    nearest = np.argpartition(similarity, -count, axis=1)[:, -count:]
    close = np.take_along_axis(similarity, nearest, axis=1)
    weights = np.exp((close - close.max(axis=1, keepdims=True)) / _WARMTH)
    share = (weights * is_rejected[nearest]).sum(axis=1) / weights.sum(axis=1)
    return share * np.clip(similarity[:, is_rejected].max(axis=1), 0, 1)
