"""A regression on features and their products in pairs: what a frozen encoder knows, read more closely than by a line.

Fitted in closed form, so that it needs neither steps nor a search. What is kept are weights, never a training text's
feature.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from labeling.errors import TrainingError

_OFFSET: Final = 0.3
"""How much weight single directions have beside pairs: two texts are alike by ((offset + cosine) / (offset + 1))²."""

_FLOOR: Final = 0.05
"""Added to each score before its logarithm: scores this small are noise. Chosen, like the offset, on three development
cuts of BANKING77's training texts (docs/training.md)."""

_SHARPNESS: Final = 3.5
"""What the logarithms are multiplied by, so that they need about no temperature: chosen likewise, and much the same
from 300 to 8,000 texts."""

TEMPERATURE_SPREAD: Final = 0.01
"""How far from 1 a temperature is expected (``fit_temperature``): one fitted freely to a dev part of 1,200 texts made
the loss on eight development cuts larger, with this prior smaller (docs/training.md)."""

_MOST_ROWS: Final = 12_000
"""Of more texts the likenesses of each to each would not fit into a small memory: sums over texts are kept instead."""

_MOST_SUMS: Final = 8_400
_MOST_WEIGHTS: Final = 8_000_000
"""Of pairs, over all labels: 16 MB; 77 labels have 256 directions in 2.5 million, 2,000 labels are left 89."""

_NO_WEIGHT: Final = 1e-6
_BLOCK: Final = 256
_SUMMED: Final = 2048


@dataclass(frozen=True)
class QuadraticHead:
    """Weights on the directions in which features differ most, one by one and in pairs.

    Attributes:
        centre: what is taken off a feature, (d,) float32.
        directions: onto which it is then projected, and its length made 1, (d, r) float32.
        pairs: of the products of two directions in the order of ``np.triu_indices``, (labels, r * (r + 1) / 2) float16.
        linear: (labels, r) float32.
        bias: (labels,) float32.
    """

    centre: np.ndarray
    directions: np.ndarray
    pairs: np.ndarray
    linear: np.ndarray
    bias: np.ndarray

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Return logits, (n, labels) float32: the logarithm of each label's score.

        A score is an estimate of the label's probability by least squares, which may come out below zero or above one;
        its logarithm, with a floor under it, calibrates far better by one temperature than the score itself.

        Args:
            features: (n, d), each of length 1.
        """
        places = project(features, self.centre, self.directions)
        scores = places @ self.linear.T + self.bias
        for rows in _blocks(len(places)):
            scores[rows] += _pair(places[rows]) @ self._pairs
        return _SHARPNESS * np.log(np.maximum(scores, 0) + _FLOOR)

    @cached_property
    def _pairs(self) -> np.ndarray:
        return self.pairs.astype(np.float32).T


def project(features: np.ndarray, centre: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Return features less the centre along the directions, (n, r) float32, each of length 1."""
    along = (features @ directions - centre @ directions).astype(np.float32)
    return along / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)


def fit_quadratic(
    features: np.ndarray, targets: np.ndarray, weights: np.ndarray, *, directions: int, penalty: float
) -> QuadraticHead:
    """Fit a weighted ridge regression of each label's indicator on the directions and their pairs.

    It is kernel ridge regression (Saunders et al., 1998) under a quadratic kernel, written out as weights. Of more than
    12,000 texts no more than 128 directions are kept, because sums over texts are then solved for, and of many labels
    no more than eight million pairs.

    Args:
        features: (n, d), each of length 1.
        targets: the label of each row as a number, (n,) int; each of 0..k-1 at least once, k >= 2.
        weights: of each row, in (0, 1].
        directions: how many are kept at most; no more than d and n - 1.
        penalty: beside a text's likeness to itself of 1 (> 0).
    """
    count, labels = len(features), int(targets.max()) + 1
    fits = min(directions, _count_directions(_MOST_WEIGHTS // labels))
    fits = fits if count <= _MOST_ROWS else min(fits, _count_directions(_MOST_SUMS))
    centre = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    basis = _main_directions(features, centre, min(fits, features.shape[1], max(count - 1, 1)))
    places = project(features, centre, basis)
    wanted = np.full((count, labels), -1 / labels, dtype=np.float32)
    wanted[np.arange(count), targets] += 1
    solve = _solve_by_texts if count <= _MOST_ROWS else _solve_by_sums
    pairs, linear, bias = solve(places, wanted, weights.astype(np.float32), penalty)
    return QuadraticHead(centre, basis, pairs.astype(np.float16), linear, bias + np.float32(1 / labels))


def _main_directions(features: np.ndarray, centre: np.ndarray, count: int) -> np.ndarray:
    """Return the directions in which the rows differ most, (d, count) float32."""
    scatter = np.zeros((len(centre), len(centre)))
    for rows in _blocks(len(features), size=_SUMMED):
        centred = features[rows] - centre
        scatter += centred.T @ centred
    _, vectors = np.linalg.eigh(scatter)
    return np.ascontiguousarray(vectors[:, ::-1][:, :count], dtype=np.float32)


def _solve_by_texts(
    places: np.ndarray, wanted: np.ndarray, weights: np.ndarray, penalty: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pairs, linear and bias from the likeness of each text to each.

    The likenesses are symmetric, so only half of them are kept, as LAPACK packs and factors a triangle (Gustavson et
    al., Rectangular full packed format for Cholesky's algorithm, 2010): 200 MB for 10,000 texts.
    """
    odd = len(places) % 2  # the packing below is that of an even number: a text like nothing and without weight joins
    filled = np.vstack([places, np.zeros((odd, places.shape[1]), dtype=np.float32)])
    packed = _pack_likeness(filled, penalty / np.append(weights, [_NO_WEIGHT] * odd))
    solved = _solve_packed(packed, np.vstack([wanted, np.zeros((odd, wanted.shape[1]), dtype=np.float32)]))
    shares = solved[: len(places)] / np.float32((1 + _OFFSET) ** 2)
    first, second = np.triu_indices(places.shape[1])
    pairs = np.stack([(places.T @ (places * share[:, None]))[first, second] for share in shares.T])
    return pairs * np.where(first == second, 1, 2), 2 * _OFFSET * (shares.T @ places), _OFFSET**2 * shares.sum(axis=0)


def _pack_likeness(places: np.ndarray, ridge: np.ndarray) -> np.ndarray:
    """Return the lower triangle of the likenesses, ``ridge`` added to its diagonal, packed: (n + 1, n / 2), n even.

    Below its first row stands the left half of the triangle; above and on the diagonal, transposed, what is left of it.
    """
    half = len(places) // 2
    packed = np.empty((len(places) + 1, half), dtype=np.float32, order="F")
    left, right = places[:half], places[half:]
    for columns in _blocks(half):
        packed[1 + columns.start :, columns] = _likeness(places[columns.start :], left[columns])
    for columns in _blocks(half):  # only now: the blocks above reach over the diagonal
        rows = slice(0, min(columns.stop, half))
        upper = np.arange(rows.stop)[:, None] <= np.arange(half)[columns]
        np.copyto(packed[rows, columns], _likeness(right[rows], right[columns]), where=upper)
    diagonal = np.arange(half)
    packed[diagonal + 1, diagonal] += ridge[:half]
    packed[diagonal, diagonal] += ridge[half:]
    return packed


def _likeness(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return how alike each text is to each other, in [0, 1]."""
    alike = some @ others.T
    alike += _OFFSET
    alike /= 1 + _OFFSET
    return np.square(alike, out=alike)


def _solve_packed(packed: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return what the packed, positive matrix turns into ``wanted``; the matrix itself is overwritten."""
    from scipy.linalg import get_lapack_funcs

    size = len(packed) - 1
    factorise, solve = get_lapack_funcs(("pftrf", "pftrs"), (packed, wanted))
    factor, is_bad = factorise(size, packed.ravel(order="F"), transr="N", uplo="L", overwrite_a=True)
    if is_bad:
        raise TrainingError(
            f"a quadratic head needs texts whose likenesses can be solved for, found none from row {is_bad} on: "
            "raise head.penalty of the recipe"
        )
    return solve(size, factor, wanted, transr="N", uplo="L")[0]


def _solve_by_sums(
    places: np.ndarray, wanted: np.ndarray, weights: np.ndarray, penalty: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the same from sums over texts of what ``_pair`` gives: more texts cost time, no memory."""
    first, second = np.triu_indices(places.shape[1])
    twice = np.where(first == second, 1, 2)
    scale = np.sqrt([*twice, *np.full(places.shape[1], 2 * _OFFSET), _OFFSET**2], dtype=np.float32) / (1 + _OFFSET)
    scale = scale.astype(np.float32)
    sums = np.zeros((len(scale), len(scale)), dtype=np.float32)
    said = np.zeros((len(scale), wanted.shape[1]), dtype=np.float32)
    for rows in _blocks(len(places), size=_SUMMED):
        single = places[rows]
        wide = np.hstack([_pair(single), single, np.ones((len(single), 1), dtype=np.float32)]) * scale
        weighted = (wide * weights[rows, None]).T
        sums += weighted @ wide
        said += weighted @ wanted[rows]
    sums[np.diag_indices(len(sums))] += penalty
    pairs, linear, bias = np.split(_solve(sums, said).T * scale, [len(first), len(scale) - 1], axis=1)
    return pairs, np.ascontiguousarray(linear), bias.ravel()


def _solve(matrix: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return what the symmetric, positive ``matrix`` turns into ``wanted``; the matrix itself is overwritten."""
    from scipy.linalg import cho_factor, cho_solve

    factor = cho_factor(matrix.T, lower=True, overwrite_a=True, check_finite=False)  # in place: columns lie together
    return cho_solve(factor, wanted, check_finite=False)


def _pair(places: np.ndarray) -> np.ndarray:
    """Return the products of each two directions, (n, r * (r + 1) / 2)."""
    first, second = np.triu_indices(places.shape[1])
    return places[:, first] * places[:, second]


def _count_directions(pairs: int) -> int:
    """Return how many directions have no more than so many ``pairs``."""
    return int((np.sqrt(8 * pairs + 1) - 1) / 2)


def _blocks(count: int, size: int = _BLOCK) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, count, size))
