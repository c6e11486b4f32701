"""Messages outside every label that look alike: candidates for a new label."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Cluster:
    """A group of alike messages; ``members`` are positions in the input, the most typical first."""

    members: tuple[int, ...]


def find_clusters(features: np.ndarray, *, smallest: int) -> list[Cluster]:
    """Group messages by density (HDBSCAN; Campello, Moulavi and Sander, 2013); stragglers belong to none.

    Args:
        features: float32 of shape (n, d), rows of unit length.
        smallest: the least number of messages that make a group (>= 2).

    Returns:
        Groups, the largest first; none where ``n`` is below ``smallest``.
    """
    from sklearn.cluster import HDBSCAN

    if len(features) < smallest:
        return []
    found = HDBSCAN(min_cluster_size=smallest, copy=True).fit(features)  # pyright: ignore[reportArgumentType]
    clusters = [
        Cluster(_typical_first(features, np.flatnonzero(found.labels_ == label)))
        for label in sorted(set(found.labels_.tolist()) - {-1})
    ]
    return sorted(clusters, key=lambda cluster: len(cluster.members), reverse=True)


def _typical_first(features: np.ndarray, members: np.ndarray) -> tuple[int, ...]:
    closeness = features[members] @ features[members].mean(axis=0)
    return tuple(members[np.argsort(-closeness, kind="stable")].tolist())
