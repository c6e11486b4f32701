"""Clouds of points for tests of selection and heads: each label a cloud, on the unit sphere."""

import numpy as np

from labeling.selection.neighbours import unit


def make_blobs(
    sizes: tuple[int, ...], *, seed: int, spread: float = 0.6, dimensions: int = 16
) -> tuple[np.ndarray, np.ndarray]:
    """Return features (n, dimensions) and label numbers (n,), in a shuffled order."""
    rng = np.random.default_rng(seed)
    centres = unit(np.random.default_rng(1000).normal(size=(len(sizes), dimensions)))
    targets = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    noise = rng.normal(size=(len(targets), dimensions)) / np.sqrt(dimensions)
    return unit(centres[targets] + spread * noise), targets
