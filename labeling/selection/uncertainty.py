"""How unsure a model is of its answer, from the probabilities that it gave."""

import numpy as np
import polars as pl


def measure_margin(probabilities: np.ndarray) -> np.ndarray:
    """Return the likeliest label's probability less the second's (Scheffer et al., 2001).

    Args:
        probabilities: (n, k) rows that sum to 1, k >= 2.

    Returns:
        (n,) in [0, 1]; 0 is a tie, 1 is certainty.
    """
    highest = np.partition(probabilities, -2, axis=1)[:, -2:]
    return highest[:, 1] - highest[:, 0]


def measure_entropy(probabilities: np.ndarray) -> np.ndarray:
    """Return the Shannon entropy of each row as a share of its greatest possible value.

    Args:
        probabilities: (n, k) rows that sum to 1, k >= 2.

    Returns:
        (n,) in [0, 1]; 0 is certainty, 1 is a uniform row.
    """
    logs = np.log(probabilities, out=np.zeros_like(probabilities, dtype=float), where=probabilities > 0)
    return -(probabilities * logs).sum(axis=1) / np.log(probabilities.shape[1])


def read_doubt(pool: pl.DataFrame) -> np.ndarray:
    """Return 1 - margin of each row of a pool, in [0, 1]; 1 where no model has spoken yet."""
    return 1 - pool["margin"].fill_null(0.0).clip(0.0, 1.0).to_numpy()
