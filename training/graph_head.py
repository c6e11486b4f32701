"""The graph head: a classifier that also learns from how the unlabelled texts lie."""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from labeling.selection.neighbours import (
    FAR,
    NEIGHBOURS,
    Whitening,
    average_neighbours,
    diffuse,
    find_neighbours,
    fit_whitening,
    link_neighbours,
    name_copies,
    unit,
)
from training.heads import LinearHead, apply_head, fit_head

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

PLAIN_PENALTY: Final = 30.0
"""scikit-learn's C of a logistic regression on features of length 1: the best from 1 to 100 with all labels, and
within a point of the best with two labels an intent (development data)."""

_SMOOTH_PENALTY: Final = 100.0
"""Diffused features hold less noise and bear a freer fit."""

_DIFFUSIONS: Final = (FAR, (0.5, 3))
"""How much of its own feature a text keeps at each step, and how many steps: far, which is best from two labels an
intent up, and near, which is best from seven up; the mix with plain features mends the rest."""

_ITERATIONS: Final = 200
_FLATTENING: Final = 2.0
"""What the sum of three log-probabilities is divided by: their mean would be too unsure with many labels, so that many
small doubts outweighed the great ones when texts are chosen; their sum too sure with few."""

_UNSEEN: Final = -30.0
"""The log-probability of a label that no text has yet."""


@dataclass(frozen=True)
class Diffusion:
    """The features of a pool's different texts, diffused in so many steps.

    ``keep`` is how much of its own feature a text keeps at each step; ``before_last`` (m, d), of the m different texts,
    is what a new text takes its neighbours' features from; ``centre`` (d,) is taken from what comes out.
    """

    keep: float
    before_last: np.ndarray
    centre: np.ndarray

    def step(self, features: np.ndarray, around: np.ndarray) -> np.ndarray:
        """Return diffused features of length 1 from features and their neighbours' means, (q, d) each."""
        return unit(self.keep * features + (1 - self.keep) * around - self.centre)


@dataclass(frozen=True)
class TextGraph:
    """A pool of texts, and their features diffused over the graph of their nearest neighbours.

    ``views`` (v, n, d), rows of length 1: the features as given, then diffused in each way of ``diffusions``.
    ``places`` (m, d) are the m different texts, among which the neighbours of a new one are found.
    """

    views: np.ndarray
    diffusions: tuple[Diffusion, ...]
    whitening: Whitening
    places: np.ndarray

    def carry(self, features: np.ndarray) -> np.ndarray:
        """Return the views (v, q, d) of texts that are not of the pool, from their features (q, d)."""
        nearest, distances = find_neighbours(self.whitening.apply(features), self.places, NEIGHBOURS)
        weights = np.exp(-distances / np.maximum(distances[:, -1:], 1e-6))
        weights /= weights.sum(axis=1, keepdims=True)
        around = (np.einsum("qk,qkd->qd", weights, way.before_last[nearest]) for way in self.diffusions)
        diffused = [way.step(features, means) for way, means in zip(self.diffusions, around, strict=True)]
        return np.stack([features, *diffused])


def build_text_graph(features: np.ndarray) -> TextGraph:
    """Diffuse the features of a pool over its graph of nearest neighbours.

    Personalised PageRank of features (Gasteiger et al., 2019; as features before a linear model, Wu et al., 2019): each
    step a text keeps a share of its own feature and takes the rest from its neighbours, so that texts of one
    neighbourhood come to lie together, whatever their label is called. Done once a pool; labels only move the linear
    models on top.

    Args:
        features: (n, d) float32, each of length 1; n >= 2. Copies count as one text.
    """
    copies = name_copies(features)
    _, first = np.unique(copies, return_index=True)
    distinct = features[first]
    whitening = fit_whitening(distinct)
    places = whitening.apply(distinct)
    average = average_neighbours(link_neighbours(places))
    ways = tuple(_diffuse(distinct, average, keep=keep, steps=steps) for keep, steps in _DIFFUSIONS)
    views = [way.step(distinct, average @ way.before_last)[copies] for way in ways]
    return TextGraph(np.stack([features, *views]), ways, whitening, places)


def _diffuse(distinct: np.ndarray, average: "csr_matrix", *, keep: float, steps: int) -> Diffusion:
    before, after = diffuse(distinct, average, keep=keep, steps=steps)
    return Diffusion(keep, before, after.mean(axis=0))


@dataclass(frozen=True)
class Probe:
    """A logistic regression over the labels that had texts: ``labels`` (k,) are their numbers, in order."""

    labels: np.ndarray
    head: LinearHead

    def log_probabilities(self, features: np.ndarray, columns: int) -> np.ndarray:
        """Return (n, columns) log-probabilities; labels without texts have hardly any."""
        from scipy.special import log_softmax

        found = np.full((len(features), columns), _UNSEEN, dtype=np.float64)
        found[:, self.labels] = log_softmax(apply_head(features, self.head).astype(np.float64), axis=1)
        return found


def fit_probe(features: np.ndarray, columns: np.ndarray, *, penalty: float = PLAIN_PENALTY) -> Probe:
    """Fit a logistic regression on features (n, d) and label numbers (n,), n >= 1; a single label is always said."""
    labels, targets = np.unique(columns, return_inverse=True)
    if len(labels) == 1:
        return Probe(labels, (np.zeros((1, features.shape[1]), np.float32), np.zeros(1, np.float32)))
    weights = np.ones(len(targets))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes is greater", UserWarning)
        head = fit_head(features, targets, weights, inverse_penalty=penalty, max_iterations=_ITERATIONS)
    return Probe(labels, head)


@dataclass(frozen=True)
class GraphHead:
    """A probe on each view of a text, which are heard together.

    ``columns`` is the number of labels plus one: the last column is "outside every label".
    """

    probes: tuple[Probe, ...]
    columns: int

    def probabilities(self, views: np.ndarray) -> np.ndarray:
        """Return (n, columns) rows that sum to 1, from views (v, n, d)."""
        from scipy.special import softmax

        said = (probe.log_probabilities(view, self.columns) for probe, view in zip(self.probes, views, strict=True))
        return softmax(sum(said) / _FLATTENING, axis=1)


def fit_graph_head(
    graph: TextGraph, rows: np.ndarray, targets: np.ndarray, *, classes: int, names: np.ndarray | None = None
) -> GraphHead:
    """Fit a probe on each view of the labelled rows of a pool, and of the labels' names.

    Args:
        graph: the pool.
        rows: (m,) which of its rows are labelled, m >= 1, or 0 where there are names.
        targets: (m,) int label numbers, -1 outside every label, which is learnt like a label of its own.
        classes: how many labels there are.
        names: (v, classes, d) views of each label's name, which count as a text of that label; None to go without.
    """
    columns = np.where(targets < 0, classes, targets)
    views = graph.views[:, rows]
    if names is not None:
        columns, views = np.concatenate([columns, np.arange(classes)]), np.concatenate([views, names], axis=1)
    penalties = (PLAIN_PENALTY, *(_SMOOTH_PENALTY for _ in graph.diffusions))
    probes = (fit_probe(view, columns, penalty=penalty) for view, penalty in zip(views, penalties, strict=True))
    return GraphHead(tuple(probes), classes + 1)
