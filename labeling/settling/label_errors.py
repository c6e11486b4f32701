"""Labels that are likely errors: found by what texts like theirs are called, reviewed, and looked for again.

Confident learning (Northcutt et al., 2021; cleanlab) says how many labels are wrong. Which ones is said by more than
it looks at: how far a kernel ridge regression that left the label out prefers another (its leave-one-out answer has a
closed form, so that every correction is learnt from at once), and which pairs of labels reviews found confused.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

SHARPNESS: Final = 1.0
NOISE: Final = 0.3
"""The kernel exp(-SHARPNESS * squared distance) of features of length 1, and the variance of labels beside it."""
_FLOOR: Final = 0.1
"""Added to both shares before their ratio is taken: below it a difference says little."""
_BLOCK: Final = 4000
"""A regression is over so many labels at most: its cost grows with the cube."""
_PAIR_REVIEWS: Final = 4.0

SUSPICIOUS: Final = 0.5
"""From this suspicion on a label is counted among the likely errors."""

BATCH: Final = 50
STOP_BELOW: Final = 0.4
STOP_OVERALL: Final = 0.82
"""A hunt ends when fewer than the first share of the last three batches were errors, so that the next ones cost more
than two reviews each; but not while more than the second share of all reviews has paid."""

SECOND_LOOK: Final = 1.9
"""Reviewers err too: an answer that changed a label and is doubted this much is asked for again, of somebody else."""


@dataclass(frozen=True)
class Doubt:
    """How far each label is doubted: ``score`` (n,), any size, above 0 where ``likelier`` (n,) is preferred to it."""

    score: np.ndarray
    likelier: np.ndarray


@dataclass(frozen=True)
class Hunt:
    """What a hunt found: the ``targets`` after it, the ``reviewed`` rows in their order, and which ``changed``.

    ``reviews`` counts all answers, second looks included.
    """

    targets: np.ndarray
    reviewed: np.ndarray
    changed: np.ndarray
    reviews: int


class LeaveOneOut:
    """Kernel ridge regression on features, asked of each row without that row's label.

    The features' part is done once; another set of labels costs one product.
    """

    def __init__(self, features: np.ndarray) -> None:
        """Prepare for ``features`` (n, d), rows of length 1, n >= 2."""
        from scipy.linalg import cho_factor, get_lapack_funcs

        kept = features.astype(np.float32)
        kernel = np.exp(-SHARPNESS * np.clip(2.0 - 2.0 * kept @ kept.T, 0.0, None))
        kernel[np.diag_indices(len(kernel))] += NOISE
        factor, _ = cho_factor(kernel, lower=True, overwrite_a=True, check_finite=False)
        (invert,) = get_lapack_funcs(("potri",), (factor,))
        lower, _ = invert(factor, lower=1)
        self._inverse = np.tril(lower) + np.tril(lower, -1).T

    def doubt(self, targets: np.ndarray, *, labels: int) -> Doubt:
        """Return how far the others' labels speak against each of ``targets`` (n,), int in [0, labels)."""
        rows = np.arange(len(targets))
        given = np.zeros((len(targets), labels), dtype=np.float32)
        given[rows, targets] = 1.0
        said = given - (self._inverse @ given) / np.diag(self._inverse)[:, None]
        own = np.clip(said[rows, targets], 0.0, None)
        said[rows, targets] = -np.inf
        other = np.clip(said.max(axis=1), 0.0, None)
        return Doubt(np.log(other + _FLOOR) - np.log(own + _FLOOR), said.argmax(axis=1))


def rate_suspicion(features: np.ndarray, targets: np.ndarray, pred_probs: np.ndarray) -> np.ndarray:
    """Rate how likely each label is an error, (n,) in [0, 1): at least 0.5 for as many as confident learning counts.

    Args:
        features: (n, d), rows of length 1.
        targets: (n,) int, each of 0..k-1 at least once, k >= 2.
        pred_probs: (n, k), of a model that did not learn the row's label; rows sum to 1.
    """
    from cleanlab.count import num_label_issues

    if len(targets) < 2:
        return np.zeros(len(targets))
    errors = int(num_label_issues(labels=targets, pred_probs=pred_probs))
    score = _doubt_in_blocks(features, targets, labels=pred_probs.shape[1])
    place = np.empty(len(score))
    place[np.argsort(-score, kind="stable")] = np.arange(len(score))
    return errors / (errors + place + 0.5)


def hunt_errors(
    view: LeaveOneOut,
    targets: np.ndarray,
    *,
    labels: int,
    ask: Callable[[np.ndarray], np.ndarray],
    most: int,
    stop_below: float = STOP_BELOW,
) -> Hunt:
    """Review the most doubted labels in batches, learn from the answers, and stop when errors become rare.

    Args:
        view: of the n rows' features.
        targets: (n,) int in [0, labels), some of them wrong; how many is not known.
        labels: how many labels there are.
        ask: given rows, returns a reviewer's label of each; a row is asked for once, at the end perhaps once more.
        most: how many reviews there may be.
        stop_below: the share of errors among the last three batches below which the hunt ends.
    """
    current = targets.copy()
    reviewed, changed = np.zeros(len(targets), dtype=bool), np.zeros(len(targets), dtype=bool)
    order: list[np.ndarray] = []
    pairs = np.zeros((2, labels, labels))
    while (left := min(most, len(targets)) - int(reviewed.sum())) > 0 and not is_spent(order, changed, stop_below):
        doubt = view.doubt(current, labels=labels)
        score = doubt.score + _weigh_pairs(pairs)[current, doubt.likelier]
        score[reviewed] = -np.inf
        batch = np.argsort(-score, kind="stable")[: min(BATCH, left)]
        answers = ask(batch)
        changed[batch] = answers != current[batch]
        _count_pairs(pairs, current[batch], doubt.likelier[batch], changed[batch])
        current[batch], reviewed[batch] = answers, True
        order.append(batch)
    again = np.flatnonzero(changed & (view.doubt(current, labels=labels).score > SECOND_LOOK))
    again = again[: max(0, most - int(reviewed.sum()))]
    if len(again):
        current[again] = ask(again)
    rows = np.concatenate(order) if order else np.zeros(0, dtype=int)
    return Hunt(current, rows, changed, len(rows) + len(again))


def is_spent(batches: list[np.ndarray], changed: np.ndarray, stop_below: float) -> bool:
    """Say whether errors have become rare, lately and over all, so that a hunt should end."""
    if len(batches) < 3 or float(changed[np.concatenate(batches[-3:])].mean()) >= stop_below:
        return False
    return float(changed[np.concatenate(batches)].mean()) < STOP_OVERALL


def _doubt_in_blocks(features: np.ndarray, targets: np.ndarray, *, labels: int) -> np.ndarray:
    """Return the score of every row, from blocks of like size that rows of each label are dealt into in turn."""
    blocks = -(-len(targets) // _BLOCK)
    dealt = np.empty(len(targets), dtype=int)
    dealt[np.argsort(targets, kind="stable")] = np.arange(len(targets)) % blocks
    score = np.empty(len(targets))
    for block in range(blocks):
        rows = np.flatnonzero(dealt == block)
        score[rows] = LeaveOneOut(features[rows]).doubt(targets[rows], labels=labels).score
    return score


def _weigh_pairs(pairs: np.ndarray) -> np.ndarray:
    """Return log(share of errors among reviews of a pair of labels / share among all), drawn to 0 where few."""
    wrong, seen = pairs + pairs.transpose(0, 2, 1)
    share = max(1.0, pairs[0].sum()) / max(1.0, pairs[1].sum())
    return np.log((wrong + _PAIR_REVIEWS * share) / (seen + _PAIR_REVIEWS) / share)


def _count_pairs(pairs: np.ndarray, given: np.ndarray, likelier: np.ndarray, changed: np.ndarray) -> None:
    np.add.at(pairs[0], (given, likelier), changed)
    np.add.at(pairs[1], (given, likelier), 1.0)
