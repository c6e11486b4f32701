"""How far a text lies from everything that people have labelled."""

import numpy as np

_BLOCK = 4096


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
