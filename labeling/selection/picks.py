"""Picking one row after another, near-duplicates once, and of one predicted label no more than allowed."""

from collections import Counter

import numpy as np
import polars as pl

_BLOCK = 512
_ROUNDING = 1e-6
"""What a product of float32 vectors may fall short by."""


class Picks:
    """The rows picked so far.

    Args:
        features: (n, d), normalised.
        known: (m, d), normalised: what is labelled or asked for; a near-duplicate of it is not picked.
        groups: (n,) predicted labels; null belongs to none, and None says that no row belongs to any.
        similarity: the cosine from which two rows are near-duplicates, in (0, 1].
        limit: how many rows of one group may be picked.
    """

    def __init__(
        self, features: np.ndarray, known: np.ndarray, groups: pl.Series | None, *, similarity: float, limit: int
    ) -> None:
        self._features, self._known, self._groups = features, known, groups
        self._line, self._limit = similarity - _ROUNDING, limit
        self._kept = np.empty((0, features.shape[1]), dtype=features.dtype)
        self._of_group: Counter[str] = Counter()
        self.rows: list[int] = []
        self.duplicates = 0
        self.capped = 0

    def take(self, candidates: np.ndarray, count: int) -> list[int]:
        """Pick from ``candidates`` in their order until ``count`` are picked; return those.

        ``duplicates`` and ``capped`` grow by the rows that were passed over.
        """
        free = candidates[~np.isin(candidates, self.rows)]
        taken: list[int] = []
        for start in range(0, len(free), _BLOCK):
            if len(taken) >= count:
                break
            taken += self._take_block(free[start : start + _BLOCK], count - len(taken))
        return taken

    def _take_block(self, rows: np.ndarray, room: int) -> list[int]:
        vectors = self._features[rows]
        groups = [None] * len(rows) if self._groups is None else self._groups.gather(rows).to_list()
        is_near = self._is_near(vectors, self._known) | self._is_near(vectors, self._kept)
        places: list[int] = []
        for place, group in enumerate(groups):
            if len(places) >= room:
                break
            if is_near[place] or self._is_near(vectors[place : place + 1], vectors[places])[0]:
                self.duplicates += 1
            elif group is not None and self._of_group[group] >= self._limit:
                self.capped += 1
            else:
                places.append(place)
                self._of_group.update([] if group is None else [group])
        self._kept = np.concatenate([self._kept, vectors[places]])
        taken = rows[places].tolist()
        self.rows += taken
        return taken

    def _is_near(self, vectors: np.ndarray, others: np.ndarray) -> np.ndarray:
        if not len(others):
            return np.zeros(len(vectors), dtype=bool)
        return (vectors @ others.T).max(axis=1) >= self._line
