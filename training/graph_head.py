"""The graph head: a classifier that also learns from how the unlabelled texts lie."""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from labeling.selection.neighbours import (
    NEIGHBOURS,
    Whitening,
    find_neighbours,
    fit_whitening,
    link_neighbours,
    name_copies,
    unit,
)
from training.heads import Head, apply_head, calibrated_loss, cut_folds, fit_head

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

PLAIN_PENALTY: Final = 30.0
"""scikit-learn's C of a logistic regression on features of length 1: the best from 1 to 100 with all labels, and
within a point of the best with two labels an intent (development data)."""

_SMOOTH_PENALTY: Final = 100.0
"""Diffused features hold less noise and bear a freer fit."""

_KEEP: Final = 0.1
"""How much of its own feature a text keeps at each step: 0.03 to 0.3 were tried; 0.1 is best from two labels an intent
up, and the mix mends what more of it would do with many labels."""

_STEPS: Final = 10
_ITERATIONS: Final = 200
_FOLDS: Final = 3
_PLAIN_WEIGHTS: Final = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 1000.0)
"""What a plain log-probability may weigh beside a smooth one; the last is the plain one alone."""

_FIRST_WEIGHT: Final = 0.5
"""Its weight while too few labels are there to choose one."""

_UNSEEN: Final = -30.0
"""The log-probability of a label that no text has yet."""


@dataclass(frozen=True)
class TextGraph:
    """A pool of texts, and their features diffused over the graph of their nearest neighbours.

    ``features`` (n, d) as given; ``diffused`` (n, d) of length 1. ``before_last`` (m, d), of the m different texts, is
    what a new text takes its neighbours' features from.
    """

    features: np.ndarray
    diffused: np.ndarray
    before_last: np.ndarray
    centre: np.ndarray
    whitening: Whitening
    places: np.ndarray

    def carry(self, features: np.ndarray) -> np.ndarray:
        """Return the diffused features of texts that are not of the pool, (q, d), from their features (q, d)."""
        nearest, distances = find_neighbours(self.whitening.apply(features), self.places, NEIGHBOURS)
        weights = np.exp(-distances / np.maximum(distances[:, -1:], 1e-6))
        weights /= weights.sum(axis=1, keepdims=True)
        around = np.einsum("qk,qkd->qd", weights, self.before_last[nearest])
        return unit(_KEEP * features + (1 - _KEEP) * around - self.centre)


def build_text_graph(features: np.ndarray) -> TextGraph:
    """Diffuse the features of a pool over its graph of nearest neighbours.

    Personalised PageRank of features (Gasteiger et al., 2019; as features before a linear model, Wu et al., 2019): each
    step a text keeps ``_KEEP`` of its own feature and takes the rest from its neighbours, so that texts of one
    neighbourhood come to lie together, whatever their label is called. Done once a pool; labels only move the linear
    model on top.

    Args:
        features: (n, d) float32, each of length 1; n >= 2. Copies count as one text.
    """
    copies = name_copies(features)
    _, first = np.unique(copies, return_index=True)
    distinct = features[first]
    whitening = fit_whitening(distinct)
    places = whitening.apply(distinct)
    average = _average_neighbours(link_neighbours(places))
    before = after = distinct
    for _ in range(_STEPS):
        before, after = after, _KEEP * distinct + (1 - _KEEP) * (average @ after)
    centre = after.mean(axis=0)
    return TextGraph(features, unit(after - centre)[copies], before, centre, whitening, places)


def _average_neighbours(links: "csr_matrix") -> "csr_matrix":
    from scipy.sparse import csr_matrix, diags

    total = np.asarray(links.sum(axis=1)).ravel()
    return csr_matrix(diags(1 / np.maximum(total, 1e-6)) @ links, dtype=np.float32)


@dataclass(frozen=True)
class Probe:
    """A logistic regression over the labels that had texts: ``labels`` (k,) are their numbers, in order."""

    labels: np.ndarray
    head: Head

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
    """Two probes, on plain and on diffused features, and how much the plain one weighs beside the other.

    ``columns`` is the number of labels plus one: the last column is "outside every label".
    """

    plain: Probe
    smooth: Probe
    plain_weight: float
    columns: int

    def probabilities(self, features: np.ndarray, diffused: np.ndarray) -> np.ndarray:
        """Return (n, columns) rows that sum to 1, from plain and diffused features, (n, d) each."""
        from scipy.special import softmax

        smooth = self.smooth.log_probabilities(diffused, self.columns)
        plain = self.plain.log_probabilities(features, self.columns)
        return softmax((smooth + self.plain_weight * plain) / (1 + self.plain_weight), axis=1)


def fit_graph_head(
    graph: TextGraph,
    rows: np.ndarray,
    targets: np.ndarray,
    *,
    classes: int,
    plain_weight: float,
) -> GraphHead:
    """Fit both probes on the labelled rows of a pool.

    Args:
        graph: the pool.
        rows: (m,) which of its rows are labelled, m >= 1.
        targets: (m,) int label numbers, -1 outside every label, which is learnt like a label of its own.
        classes: how many labels there are.
        plain_weight: see ``choose_plain_weight``.
    """
    columns = np.where(targets < 0, classes, targets)
    plain = fit_probe(graph.features[rows], columns)
    smooth = fit_probe(graph.diffused[rows], columns, penalty=_SMOOTH_PENALTY)
    return GraphHead(plain, smooth, plain_weight, classes + 1)


def choose_plain_weight(
    graph: TextGraph, rows: np.ndarray, targets: np.ndarray, *, classes: int, rng: np.random.Generator
) -> float:
    """Return the weight of the plain probe that does best on labelled rows held out in turn.

    A weight fixed for all data hurt where the graph misleads (spoken-style requests, sentiment), hence
    cross-validation on the labelled texts: three folds, each label's only text in none.

    Args:
        graph: the pool.
        rows: (m,) which of its rows are labelled.
        targets: (m,) int label numbers, -1 outside every label.
        classes: how many labels there are.
        rng: cuts the folds.

    Returns:
        One of ``_PLAIN_WEIGHTS``; ``_FIRST_WEIGHT`` where fewer rows than labels can be held out.
    """
    columns = np.where(targets < 0, classes, targets)
    parts = [part for part in cut_folds(columns, folds=_FOLDS, rng=rng) if len(part)]
    if sum(map(len, parts)) < max(classes, _FOLDS):
        return _FIRST_WEIGHT
    held = np.concatenate(parts)
    smooth, plain = [], []
    for part in parts:
        rest = np.setdiff1d(np.arange(len(rows)), part)
        head = fit_graph_head(graph, rows[rest], targets[rest], classes=classes, plain_weight=0)
        smooth.append(head.smooth.log_probabilities(graph.diffused[rows[part]], classes + 1))
        plain.append(head.plain.log_probabilities(graph.features[rows[part]], classes + 1))
    said, beside = np.vstack(smooth), np.vstack(plain)
    losses = [_loss(said + weight * beside, columns[held]) for weight in _PLAIN_WEIGHTS]
    return _PLAIN_WEIGHTS[int(np.argmin(losses))]


def _loss(logits: np.ndarray, targets: np.ndarray) -> float:
    """Return the share of wrong answers, and between equal shares the loss at its best temperature."""
    wrong = float((logits.argmax(axis=1) != targets).mean())
    return wrong + 1e-3 * calibrated_loss(logits, targets)
