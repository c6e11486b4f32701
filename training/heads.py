"""The head of a model: a logistic regression on features, or a quadratic one (training.quadratic)."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Final

import numpy as np

from training.calibration import fit_temperature, negative_log_likelihood
from training.quadratic import QuadraticHead
from training.recipe import LogisticRecipe

LinearHead = tuple[np.ndarray, np.ndarray]
"""Weight (labels, d) and bias (labels,), float32."""

Head = LinearHead | QuadraticHead


_LINE_SCALE: Final = 20.0
"""Scores of a regression on indicators lie between 0 and 1; times this they are within the reach of a temperature."""


def fit_head(
    features: np.ndarray, targets: np.ndarray, weights: np.ndarray, *, inverse_penalty: float, max_iterations: int
) -> LinearHead:
    """Fit a multinomial logistic regression, the linear probe of LP-FT (Kumar et al., 2022).

    On one thread: the matrices are small, and threads that wait for each other on a busy machine cost ten times
    what they save.

    Args:
        features: (n, d), each of length 1; a lexicon's numbers may stand beside it.
        targets: the label of each row as a number, (n,) int; each of 0..k-1 at least once, k >= 2.
        weights: of each row, in (0, 1].
        inverse_penalty: scikit-learn's C (> 0).
        max_iterations: where the fit stops at the latest.

    Returns:
        weight (k, d) and bias (k,).
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    model = LogisticRegression(C=inverse_penalty, max_iter=max_iterations)
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # rows held out choose the penalty for what this gives
        model.fit(features.astype(np.float64), targets, sample_weight=weights)
    weight, bias = np.asarray(model.coef_), np.asarray(model.intercept_)
    if len(weight) == 1:  # scikit-learn keeps one row for two labels: the second's log odds over the first
        weight, bias = np.vstack([-weight / 2, weight / 2]), np.concatenate([-bias / 2, bias / 2])
    return weight.astype(np.float32), bias.astype(np.float32)


def fit_line(features: np.ndarray, targets: np.ndarray, weights: np.ndarray, *, penalty: float) -> LinearHead:
    """Fit a ridge regression of each label's indicator, in closed form: a start for steps, quicker than the logistic.

    Args:
        features: (n, d), each of length 1.
        targets: as of ``fit_head``.
        weights: of each row, in (0, 1].
        penalty: beside a text's likeness to itself of 1 (> 0).

    Returns:
        weight (k, d) and bias (k,), scaled to the temperature at which they suit these rows.
    """
    wide = np.hstack([features, np.ones((len(features), 1))]).astype(np.float32)
    wanted = np.eye(int(targets.max()) + 1, dtype=np.float32)[targets]
    weighted = wide * weights[:, None].astype(np.float32)
    solved = np.linalg.solve(weighted.T @ wide + penalty * np.eye(wide.shape[1]), weighted.T @ wanted).T
    solved /= fit_temperature(_LINE_SCALE * wide @ solved.T, targets) / _LINE_SCALE
    return np.ascontiguousarray(solved[:, :-1], dtype=np.float32), solved[:, -1].astype(np.float32)


def apply_head(features: np.ndarray, head: Head) -> np.ndarray:
    """Return the logits of ``features``, (n, labels)."""
    return head.logits(features) if isinstance(head, QuadraticHead) else features @ head[0].T + head[1]


def head_shape(head: Head) -> tuple[int, int]:
    """Return of how many labels a head is, and of how many numbers a feature that it takes."""
    return (len(head.bias), len(head.centre)) if isinstance(head, QuadraticHead) else (len(head[1]), head[0].shape[1])


def head_arrays(head: Head) -> dict[str, np.ndarray]:
    """Return everything that a head is made of, to be stored."""
    if isinstance(head, QuadraticHead):
        return asdict(head)
    return {"weight": head[0].astype(np.float32), "bias": head[1].astype(np.float32)}


def head_of(arrays: Mapping[str, np.ndarray]) -> Head:
    """Return the head that ``head_arrays`` was taken of.

    Raises:
        KeyError: an array is missing.
    """
    if "weight" in arrays:
        return arrays["weight"], arrays["bias"]
    return QuadraticHead(**{field.name: arrays[field.name] for field in fields(QuadraticHead)})


def choose_penalty(
    features: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    *,
    held_out: Sequence[np.ndarray],
    recipe: LogisticRecipe,
) -> float:
    """Return the penalty that does best on rows that its fit has not seen.

    "Best" is the smallest loss at its best temperature: on few rows it is far steadier than accuracy, and the model is
    calibrated later anyway.

    Args:
        features: (n, d).
        targets: (n,) int.
        weights: (n,), in (0, 1].
        held_out: parts of the rows; each is predicted by a fit on all other rows, which hold each of its labels.
            Without any row held out the middle penalty is taken.
        recipe: the penalties to try.
    """
    parts = [part for part in held_out if len(part)]
    if not parts or len(recipe.inverse_penalties) == 1:
        return recipe.inverse_penalties[len(recipe.inverse_penalties) // 2]
    losses = []
    for penalty in recipe.inverse_penalties:
        logits = np.vstack([_predict((features, targets, weights), part, penalty, recipe) for part in parts])
        losses.append(calibrated_loss(logits, targets[np.concatenate(parts)]))
    return recipe.inverse_penalties[int(np.argmin(losses))]


def calibrated_loss(logits: np.ndarray, targets: np.ndarray) -> float:
    """Return the mean of -log p(true label), in nats, at the temperature that is best for these very rows."""
    return negative_log_likelihood(logits, targets, fit_temperature(logits, targets))


def cut_folds(targets: np.ndarray, *, folds: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Cut the rows into parts of like labels; a label's only row is in none, so that every fit knows every label."""
    fold = np.full(len(targets), -1)
    for label in np.unique(targets):
        rows = rng.permutation(np.flatnonzero(targets == label))
        if len(rows) > 1:
            fold[rows] = (np.arange(len(rows)) + rng.integers(folds)) % folds
    return [np.flatnonzero(fold == part) for part in range(folds)]


def _predict(
    data: tuple[np.ndarray, np.ndarray, np.ndarray], part: np.ndarray, penalty: float, recipe: LogisticRecipe
) -> np.ndarray:
    features, targets, weights = data
    rest = np.setdiff1d(np.arange(len(targets)), part)
    head = fit_head(
        features[rest], targets[rest], weights[rest], inverse_penalty=penalty, max_iterations=recipe.max_iterations
    )
    return apply_head(features[part], head)
