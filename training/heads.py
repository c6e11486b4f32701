"""The head that every model starts from: a logistic regression on frozen features."""

import warnings
from collections.abc import Sequence

import numpy as np

from training.recipe import HeadRecipe


def fit_head(
    features: np.ndarray, labels: Sequence[str], weights: np.ndarray, *, names: Sequence[str], recipe: HeadRecipe
) -> tuple[np.ndarray, np.ndarray]:
    """Fit a multinomial logistic regression, the linear probe of LP-FT (Kumar et al., 2022).

    On one thread: the matrices are small, and threads that wait for each other on a busy machine cost ten times
    what they save.

    Args:
        features: (n, d), each of length 1.
        labels: of each row; every one of ``names`` at least once.
        weights: of each row, in (0, 1].
        names: the labels in the order of the head's rows; at least two.
        recipe: the penalty and the most iterations.

    Returns:
        weight (names, d) and bias (names,), float32.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    place = {name: position for position, name in enumerate(names)}
    targets = np.array([place[label] for label in labels])
    model = LogisticRegression(C=recipe.inverse_penalty, max_iter=recipe.max_iterations)
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a start need not be the very best
        model.fit(features.astype(np.float64), targets, sample_weight=weights)
    weight, bias = np.asarray(model.coef_), np.asarray(model.intercept_)
    if len(names) == 2:  # scikit-learn keeps one row for two labels: the second's log odds over the first
        weight, bias = np.vstack([-weight / 2, weight / 2]), np.concatenate([-bias / 2, bias / 2])
    return weight.astype(np.float32), bias.astype(np.float32)
