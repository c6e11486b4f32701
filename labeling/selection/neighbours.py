"""Which texts lie next to which: exact copies as one, partly whitened features, the graph of nearest neighbours."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

NEIGHBOURS: Final = 10
"""Five to twenty differ little on development data; below five the graph falls apart."""

_WHITENING: Final = 0.25
"""Between centring alone (0) and full whitening (0.5 of the variance, where noise drowns the rest)."""

FAR: Final = (0.1, 10)
"""How much of its own feature a text keeps at each step of a far diffusion, and how many steps that has."""

_BLOCK: Final = 1024
_TINY: Final = 1e-6


@dataclass(frozen=True)
class Whitening:
    """The centre (d,) of some features, and the map (d, d) that evens out their directions in part."""

    centre: np.ndarray
    turn: np.ndarray

    def apply(self, features: np.ndarray) -> np.ndarray:
        """Return ``features`` (n, d) centred, whitened in part, each of length 1; float32."""
        return unit((features - self.centre) @ self.turn)


def fit_whitening(features: np.ndarray) -> Whitening:
    """Learn from features (n, d), n >= 1, how to even out their directions.

    Embeddings lie in a narrow cone with few strong directions; dividing each principal direction by a small power of
    its deviation makes nearest neighbours more often of one label (Su et al., 2021, whiten in full).
    """
    centre = features.mean(axis=0, dtype=np.float64)
    rest = features.astype(np.float64) - centre
    variances, directions = np.linalg.eigh(rest.T @ rest)
    deviations = np.sqrt(np.maximum(variances, max(float(variances[-1]), _TINY) * _TINY))
    return Whitening(centre.astype(np.float32), (directions / deviations**_WHITENING).astype(np.float32))


def unit(features: np.ndarray) -> np.ndarray:
    """Return each row at length 1, float32; a row of zeros stays one."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return (features / np.maximum(lengths, _TINY)).astype(np.float32)


def name_copies(features: np.ndarray) -> np.ndarray:
    """Return a number for each row (n,), from 0 in order of appearance, the same for rows equal to four decimals."""
    names: dict[bytes, int] = {}
    rounded = np.ascontiguousarray(np.round(features, 4) + 0.0)
    return np.array([names.setdefault(row.tobytes(), len(names)) for row in rounded], dtype=np.int64)


def find_neighbours(queries: np.ndarray, features: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return for each query the ``count`` nearest rows of ``features``, nearest first, and their squared distances.

    Args:
        queries: (q, d), each of length 1; the same object as ``features`` to leave out each row itself.
        features: (n, d), each of length 1.
        count: cut to what there is.

    Returns:
        rows (q, k) int and distances (q, k) float32 in [0, 4]; k may be 0.
    """
    is_same = queries is features
    count = max(min(count, len(features) - is_same), 0)
    rows = np.empty((len(queries), count), dtype=np.int64)
    alike = np.empty((len(queries), count), dtype=np.float32)
    for start in range(0, len(queries) if count else 0, _BLOCK):
        block = slice(start, min(start + _BLOCK, len(queries)))
        closeness = queries[block] @ features.T
        if is_same:
            closeness[np.arange(len(closeness)), np.arange(start, block.stop)] = -np.inf
        best = np.argpartition(-closeness, count - 1, axis=1)[:, :count]
        found = np.take_along_axis(closeness, best, axis=1)
        order = np.argsort(-found, axis=1, kind="stable")
        rows[block], alike[block] = np.take_along_axis(best, order, 1), np.take_along_axis(found, order, 1)
    return rows, np.clip(2 - 2 * alike, 0, 4)


def link_neighbours(features: np.ndarray, count: int = NEIGHBOURS) -> "csr_matrix":
    """Return the graph of nearest neighbours, weighted by closeness on each text's own scale.

    The scale is the distance to the last neighbour (self-tuning, Zelnik-Manor and Perona, 2004), so that dense and
    sparse regions are linked alike; a link holds in both directions, at the mean of what both ends give it.

    Args:
        features: (n, d), each of length 1, no two rows alike.
        count: neighbours of each.

    Returns:
        (n, n) symmetric, weights in [0, 1], nothing on the diagonal.
    """
    from scipy.sparse import csr_matrix

    rows, distances = find_neighbours(features, features, count)
    n, k = rows.shape
    if not k:
        return csr_matrix((n, n), dtype=np.float32)
    scale = np.sqrt(np.maximum(distances[:, -1], _TINY))
    weights = np.exp(-distances / np.maximum(scale[:, None] * scale[rows], _TINY))
    links = csr_matrix((weights.ravel(), (np.repeat(np.arange(n), k), rows.ravel())), shape=(n, n))
    return ((links + links.T) * np.float32(0.5)).tocsr()


def average_neighbours(links: "csr_matrix") -> "csr_matrix":
    """Return the map (n, n) that takes each row's value to the mean of its neighbours', by the weight of the links."""
    from scipy.sparse import csr_matrix, diags

    total = np.asarray(links.sum(axis=1)).ravel()
    return csr_matrix(diags(1 / np.maximum(total, _TINY)) @ links, dtype=np.float32)


def diffuse(features: np.ndarray, average: "csr_matrix", *, keep: float, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Let each text take its neighbours' features, step by step (personalised PageRank, Gasteiger et al., 2019).

    Args:
        features: (n, d).
        average: of ``average_neighbours``.
        keep: the share of its own feature that a text keeps at each step, in (0, 1).
        steps: how many (>= 1).

    Returns:
        The features (n, d) before the last step, and after it; neither centred nor of length 1.
    """
    before = after = features
    for _ in range(steps):
        before, after = after, keep * features + (1 - keep) * (average @ after)
    return before, after
