"""Batches that do not ask the same thing twice: weighted clusters, and near-duplicates picked once."""

import numpy as np

_ITERATIONS = 10


def pick_cover(features: np.ndarray, weights: np.ndarray, count: int, *, rng: np.random.Generator) -> np.ndarray:
    """Choose rows that together stand for the weighted whole: the one nearest to each centre of a weighted k-means.

    Weights pull centres to where the model is unsure, clusters keep them apart (uncertainty-weighted k-means, Zhdanov
    2019). A few Lloyd iterations from random rows do: the batch needs spread, not the least inertia.

    Args:
        features: (n, d).
        weights: (n,) not negative, some positive.
        count: how many rows (>= 1).
        rng: chooses the first centres.

    Returns:
        At most ``count`` different indices of rows, largest cluster weight first; all rows where n <= count.
    """
    if len(features) <= count:
        return np.argsort(-weights, kind="stable")
    from sklearn.cluster import KMeans

    seed = int(rng.integers(2**31 - 1))
    clusters = KMeans(count, init="random", n_init=1, max_iter=_ITERATIONS, random_state=seed)  # pyright: ignore[reportArgumentType]
    clusters.fit(features, sample_weight=weights)
    member_of, centres = np.asarray(clusters.labels_), np.asarray(clusters.cluster_centers_)
    distances = np.linalg.norm(features - centres[member_of], axis=1)
    nearest_first = np.lexsort((distances, member_of))
    _, first = np.unique(member_of[nearest_first], return_index=True)
    heaviest_first = np.argsort(-np.bincount(member_of, weights)[member_of[nearest_first[first]]], kind="stable")
    return nearest_first[first][heaviest_first]


class Picked:
    """The rows picked so far, so that a near-duplicate of one of them is not picked again.

    Args:
        features: (n, d), normalised.
        copies: (n,) names; rows with one name are the same text.
        similarity: the cosine from which two rows are near-duplicates, in (0, 1].
        room: the most rows that will be picked.
    """

    def __init__(self, features: np.ndarray, copies: np.ndarray, *, similarity: float, room: int) -> None:
        self._features = features
        self._copies = copies
        self._similarity = similarity
        self._kept = np.empty((room, features.shape[1]), dtype=features.dtype)
        self._names: set[str] = set()
        self.rows: list[int] = []

    def take(self, candidates: np.ndarray, count: int) -> list[int]:
        """Pick from ``candidates`` in their order until ``count`` are picked; return those."""
        taken: list[int] = []
        for row in candidates.tolist():
            if len(taken) >= count:
                break
            if not self._is_known(row):
                self._kept[len(self.rows)] = self._features[row]
                self._names.add(str(self._copies[row]))
                self.rows.append(row)
                taken.append(row)
        return taken

    def _is_known(self, row: int) -> bool:
        if self._copies[row] in self._names:
            return True
        kept = self._kept[: len(self.rows)]
        return bool(len(kept)) and bool((kept @ self._features[row]).max() >= self._similarity)
