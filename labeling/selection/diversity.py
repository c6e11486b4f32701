"""Batches that do not ask the same thing twice, with a model's own gradients as the measure (to compare with)."""

import numpy as np


def pick_badge(features: np.ndarray, probabilities: np.ndarray, count: int, *, rng: np.random.Generator) -> np.ndarray:
    """Choose rows by k-means++ over the gradients that their likeliest labels would give (BADGE, Ash et al., 2020).

    The gradient of a linear model is the outer product of (probabilities less the likeliest label) and the feature;
    its distances factor into those of the two parts, so that the (n, k * d) matrix is never made.

    Args:
        features: (n, d).
        probabilities: (n, k) rows that sum to 1.
        count: how many rows (>= 0).
        rng: the only source of chance.

    Returns:
        At most ``count`` different rows, in the order drawn; all rows where n <= count.
    """
    errors = probabilities.astype(np.float64)
    errors[np.arange(len(errors)), errors.argmax(axis=1)] -= 1
    lengths = (errors**2).sum(axis=1) * (features**2).sum(axis=1)
    nearest, free = lengths.copy(), np.ones(len(features), dtype=bool)
    chosen: list[int] = []
    while len(chosen) < min(count, len(features)):
        odds = np.where(free, np.maximum(nearest, 1e-12), 0.0)
        row = int(np.argmax(odds)) if not chosen else int(rng.choice(len(odds), p=odds / odds.sum()))
        chosen.append(row)
        free[row] = False
        distances = lengths + lengths[row] - 2 * (errors @ errors[row]) * (features @ features[row])
        nearest = np.minimum(nearest, np.maximum(distances, 0)) if len(chosen) > 1 else np.maximum(distances, 0)
    return np.array(chosen, dtype=np.int64)
