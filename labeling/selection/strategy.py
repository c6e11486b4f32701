"""Which texts teach most: typical ones while the labels are new, then a cover of what the model doubts."""

from typing import Final

import numpy as np

from labeling.selection.cover import cover_doubt
from labeling.selection.neighbours import (
    FAR,
    average_neighbours,
    diffuse,
    fit_whitening,
    link_neighbours,
    name_copies,
    unit,
)
from labeling.selection.typical import pick_apart, pick_typical

_COLD: Final = 3
"""Below a labelled text for so many labels a model's doubt says little."""

_NEW_PER_LABEL: Final = 2
"""Below so many, some labels have no text yet, and what a model has not seen it may be sure of."""

_EXPLORING: Final = 0.3
"""The share of a batch that looks for those among typical texts far from all that is labelled."""

_SHARPEN_PER_LABEL: Final = 3
"""From so many labelled texts a label on, doubt is raised to a power that grows with their number: a model that has
seen much is right about its small doubts, and a cover that went on adding them up would ask what is known by now."""

_CANDIDATES: Final = 4000
"""The least sure texts that the graph is made of, or ``_BREADTH`` times the batch where that is more."""

_BREADTH: Final = 8


def is_cold(targets: np.ndarray, classes: int, *, named: bool = False) -> bool:
    """Return whether so little is labelled that texts are chosen for being typical alone; arguments as below."""
    return not named and len(targets) < max(classes // _COLD, 1)


def count_typical(targets: np.ndarray, classes: int, count: int, *, named: bool = False) -> int:
    """Return how many of the next ``count`` texts are chosen for being typical: all, some, and in the end none.

    Texts outside every label count, so that a pool full of those does not stay cold for ever.

    Args:
        targets: (m,) int label numbers of the labelled texts, -1 outside every label.
        classes: how many labels the taxonomy has.
        count: how many texts are to be chosen (>= 0).
        named: whether the model has learnt every label from its name, so that its doubt tells from the first text on.
    """
    if named:
        return 0
    if is_cold(targets, classes):
        return count
    return round(_EXPLORING * count) if len(targets) < _NEW_PER_LABEL * classes else 0


def pick_batch(
    features: np.ndarray,
    doubt: np.ndarray,
    *,
    labelled: np.ndarray,
    targets: np.ndarray,
    classes: int,
    count: int,
    rng: np.random.Generator,
    named: bool = False,
) -> np.ndarray:
    """Choose the texts that a person should label next.

    First as many typical texts as ``count_typical`` says: one of each cluster without a labelled text, or, once there
    is a labelled text for every three labels, those far from all that is labelled. Then those that, with their
    neighbours, hold most of the doubt; the more is labelled, the more the greatest doubts count (docs/selection.md).
    Copies of a text count as one, weigh as many as they are, and come last once one of them is chosen or labelled. The
    choice depends on the rows and on ``rng``, not on the rows' order.

    Args:
        features: (n, d) float32, each of length 1, of the texts to choose from.
        doubt: (n,) in [0, 1]: 1 less the margin of the model that the labels will train.
        labelled: (m, d) features of labelled texts; m may be 0.
        targets: (m,) int label numbers of those, -1 outside every label.
        classes: how many labels the taxonomy has.
        count: how many to choose (>= 0).
        rng: breaks ties, and chooses the first centres of clusters.
        named: as in ``count_typical``.

    Returns:
        ``count`` different rows, typical ones first, each kind best first; all rows where there are no more.
    """
    count = min(count, len(features))
    order = _settle_order(features, doubt)
    shuffled = order[rng.permutation(len(order))]
    rows = shuffled[np.argsort(-doubt[shuffled], kind="stable")][: max(_CANDIDATES, _BREADTH * count)]
    copies = name_copies(np.vstack([features[rows], labelled.astype(features.dtype)]))
    known = np.isin(copies[: len(rows)], copies[len(rows) :])
    fresh, fresh_copies = rows[~known], copies[: len(rows)][~known]
    _, first, member_of = np.unique(fresh_copies, return_index=True, return_inverse=True)
    kept = fresh[first]
    wanted = count_typical(targets, classes, count, named=named)
    if is_cold(targets, classes, named=named):
        typical = pick_typical(features[kept], labelled, wanted, rng=rng)
    else:
        _, once = np.unique(copies[len(rows) :], return_index=True)
        typical = _explore(features[kept], labelled[once], wanted)
    worth = np.bincount(member_of, weights=doubt[fresh] ** _sharpness(targets, classes))
    best = kept[np.concatenate([typical, _cover(features[kept], worth, count - len(typical), asked=typical)])]
    return np.concatenate([best, _rest(rows, best, count - len(best))])


def _sharpness(targets: np.ndarray, classes: int) -> float:
    """Return the power of doubt, 1 or more."""
    return max(1.0, len(targets) / (_SHARPEN_PER_LABEL * classes))


def _settle_order(features: np.ndarray, doubt: np.ndarray) -> np.ndarray:
    """Return an order of the rows that is theirs, however they were given."""
    return np.lexsort((*features[:, :8].T, doubt))


def _explore(features: np.ndarray, labelled: np.ndarray, count: int) -> np.ndarray:
    """Choose by diffused features, in which what people ask for alike lies together, however they say it."""
    if not count or not len(features):
        return np.zeros(0, dtype=np.int64)
    everything = np.vstack([features, labelled.astype(features.dtype)])
    average = average_neighbours(link_neighbours(fit_whitening(everything).apply(everything)))
    keep, steps = FAR
    _, diffused = diffuse(everything, average, keep=keep, steps=steps)
    places = unit(diffused - diffused.mean(axis=0))
    return pick_apart(places[: len(features)], places[len(features) :], count)


def _cover(features: np.ndarray, doubt: np.ndarray, count: int, *, asked: np.ndarray) -> np.ndarray:
    if not count or not len(features):
        return np.zeros(0, dtype=np.int64)
    graph = link_neighbours(fit_whitening(features).apply(features))
    return cover_doubt(graph, doubt, count, asked=asked)


def _rest(rows: np.ndarray, best: np.ndarray, count: int) -> np.ndarray:
    """Return ``count`` more of ``rows``, in their order."""
    return rows[~np.isin(rows, best)][:count]
