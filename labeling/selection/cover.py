"""Greedy cover: each next text is the one that, with its neighbours, holds most of the doubt that is left."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def cover_doubt(
    graph: "csr_matrix", doubt: np.ndarray, count: int, *, asked: Sequence[int] | np.ndarray = ()
) -> np.ndarray:
    """Choose rows that together stand for as much doubt as they can.

    A text is worth its own doubt and its neighbours', each by the weight of the link; once it is chosen, that much of
    their doubt is answered for. The worth is submodular, so the greedy choice comes within 1 - 1/e of the best
    (Nemhauser, Wolsey and Fisher, 1978; for selection, Wei, Iyer and Bilmes, 2015).

    Args:
        graph: (n, n) symmetric, weights in [0, 1], nothing on the diagonal.
        doubt: (n,), not negative. Ties go to the earlier row.
        count: how many rows (>= 0).
        asked: rows that are asked anyway and answer for their part.

    Returns:
        At most ``count`` different rows, in the order chosen, none of them ``asked``; all others where there
        are no more.
    """
    left = doubt.astype(np.float64)
    worth = left + graph @ left
    chosen: list[int] = []
    wanted = min(count, len(left) - len(asked))
    for row in asked:
        _answer_for(int(row), graph, left, worth)
        worth[row] = -np.inf
    while len(chosen) < wanted:
        row = int(np.argmax(worth))
        chosen.append(row)
        _answer_for(row, graph, left, worth)
        worth[row] = -np.inf
    return np.array(chosen, dtype=np.int64)


def _answer_for(row: int, graph: "csr_matrix", left: np.ndarray, worth: np.ndarray) -> None:
    """Take from ``left`` the doubt that ``row`` answers for, and from ``worth`` what others would have got for it."""
    near, links = _links(row, graph)
    for other, answered in zip([row, *near], [left[row], *(left[near] * links)], strict=True):
        beyond, weights = _links(other, graph)
        left[other] -= answered
        worth[other] -= answered
        worth[beyond] -= weights * answered


def _links(row: int, graph: "csr_matrix") -> tuple[np.ndarray, np.ndarray]:
    part = slice(graph.indptr[row], graph.indptr[row + 1])
    return graph.indices[part], graph.data[part]
