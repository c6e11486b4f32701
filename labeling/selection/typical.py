"""Typical texts first: what to ask while a model knows nothing worth asking about."""

from typing import Final

import numpy as np

from labeling.selection.neighbours import find_neighbours

_NEIGHBOURS: Final = 20
"""Of which typicality is the closeness, as in the paper."""

_CLUSTERS: Final = 500
"""At most, as in the paper; more clusters than that are too small to have a typical text."""

_ITERATIONS: Final = 10
_TINY: Final = 1e-6


def pick_typical(features: np.ndarray, labelled: np.ndarray, count: int, *, rng: np.random.Generator) -> np.ndarray:
    """Choose the most typical text of each cluster that holds no labelled one (TypiClust, Hacohen et al., 2022).

    k-means with a cluster for each text labelled or to be labelled; clusters with the fewest labelled texts come first,
    the largest of those before. The most typical text is the closest to its nearest neighbours. Several rounds where
    ``count`` is beyond the clusters.

    Args:
        features: (n, d), each of length 1, of texts to choose from.
        labelled: (m, d) of texts that have a label; m may be 0.
        count: how many rows (>= 0).
        rng: chooses k-means' first centres.

    Returns:
        At most ``count`` different rows, in the order chosen; all rows where n <= count.
    """
    count = min(count, len(features))
    if not count:
        return np.zeros(0, dtype=np.int64)
    everything = np.vstack([features, labelled.astype(features.dtype)])
    member_of = _cluster(everything, min(len(labelled) + count, _CLUSTERS, len(everything)), rng)
    size = np.bincount(member_of)
    asked = np.bincount(member_of[len(features) :], minlength=len(size))
    _, distances = find_neighbours(features, features, _NEIGHBOURS)
    typical_first = np.argsort(distances.mean(axis=1) if distances.size else np.zeros(len(features)), kind="stable")
    waiting: list[list[int]] = [[] for _ in size]
    for row in typical_first.tolist():
        waiting[member_of[row]].append(row)
    chosen: list[int] = []
    while len(chosen) < count:
        open_ones = [cluster for cluster, rows in enumerate(waiting) if rows]
        cluster = min(open_ones, key=lambda cluster: (asked[cluster], -size[cluster]))
        chosen.append(waiting[cluster].pop(0))
        asked[cluster] += 1
    return np.array(chosen, dtype=np.int64)


def pick_apart(features: np.ndarray, labelled: np.ndarray, count: int) -> np.ndarray:
    """Choose typical texts that are far from every labelled one and from each other: a label unseen may be there.

    Greedily the text of the greatest product of its distance to the nearest text labelled or chosen, and of its
    typicality, exp(-m / median m), where m is the mean distance to its nearest neighbours.

    Args:
        features: (n, d), each of length 1, of texts to choose from.
        labelled: (m, d) of texts that have a label, m >= 1.
        count: how many rows (>= 0).

    Returns:
        At most ``count`` different rows, in the order chosen; all rows where n <= count.
    """
    count = min(count, len(features))
    _, distances = find_neighbours(features, features, _NEIGHBOURS)
    if not count or not distances.size:
        return np.arange(count, dtype=np.int64)
    alone = distances.mean(axis=1)
    worth = np.exp(-alone / max(float(np.median(alone)), _TINY))
    apart = np.clip(1 - (features @ labelled.T).max(axis=1), 0, 2)
    chosen: list[int] = []
    for _ in range(count):
        value = worth * apart
        value[chosen] = -1
        row = int(np.argmax(value))
        chosen.append(row)
        apart = np.minimum(apart, np.clip(1 - features @ features[row], 0, 2))
    return np.array(chosen, dtype=np.int64)


def _cluster(features: np.ndarray, clusters: int, rng: np.random.Generator) -> np.ndarray:
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    seed = int(rng.integers(2**31 - 1))
    with threadpool_limits(limits=1):
        found = KMeans(clusters, n_init=1, max_iter=_ITERATIONS, random_state=seed).fit(features)  # pyright: ignore[reportArgumentType]
    return np.asarray(found.labels_)
