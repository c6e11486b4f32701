"""The best rows of a million, in an order that hangs on the rows and on chance, never on where they stand."""

from typing import Final

import numpy as np
import polars as pl

_WIDER: Final = 4


def draw_ties(names: pl.Series, rng: np.random.Generator) -> np.ndarray:
    """Return one number a row, (n,) uint64, that follows from its name and ``rng``: equal scores go by it."""
    return names.hash(int(rng.integers(2**63))).to_numpy()


def find_highest(scores: np.ndarray, ties: np.ndarray, count: int) -> np.ndarray:
    """Return the rows of the ``count`` highest scores, the highest first, in one pass and without sorting the others.

    Args:
        scores: (n,) float; not-a-number where a row has no score and is left out.
        ties: (n,) numbers; of equal scores the lower number goes first.
        count: how many rows (>= 0).
    """
    scored = np.flatnonzero(~np.isnan(scores))
    if count < len(scored):
        scored = _above(scored, scores[scored], ties[scored], count)
    return scored[np.lexsort((ties[scored], -scores[scored]))]


def find_distinct(scores: np.ndarray, ties: np.ndarray, copies: np.ndarray, count: int) -> np.ndarray:
    """Return what ``find_highest`` returns, of rows with one text the first alone.

    Args:
        scores: (n,) float or not-a-number.
        ties: (n,) numbers.
        copies: (n,) numbers; rows with one number have the same text.
        count: how many rows (>= 0); fewer where there are no more texts.
    """
    looked = max(1, _WIDER * count)
    while True:
        best = find_highest(scores, ties, looked)
        _, first = np.unique(copies[best], return_index=True)
        if len(first) >= count or len(best) < looked:
            return best[np.sort(first)][:count]
        looked *= _WIDER


def _above(rows: np.ndarray, scores: np.ndarray, ties: np.ndarray, count: int) -> np.ndarray:
    """Keep ``count`` of more ``rows``: those above a line, and of those on the line the first by ``ties``."""
    if not count:
        return rows[:0]
    line = np.partition(scores, len(scores) - count)[len(scores) - count]
    level = np.flatnonzero(scores == line)
    above = np.flatnonzero(scores > line)
    wanted = count - len(above)
    if wanted < len(level):
        level = level[np.argpartition(ties[level], wanted - 1)[:wanted]]
    return rows[np.concatenate([above, level])]
