import numpy as np
import pytest

from tests.training.parts import MESSAGES
from training.features import embed_texts
from training.heads import apply_head, choose_penalty, cut_folds, fit_head
from training.recipe import LogisticRecipe
from training.scoring import softmax

RECIPE = LogisticRecipe(kind="logistic", inverse_penalties=(1.0, 30.0), folds=5, max_iterations=200)
TARGETS = np.repeat([0, 1, 2], 10)


@pytest.fixture(scope="module")
def features(encoder):
    return embed_texts(encoder, [text for texts in MESSAGES.values() for text in texts])


def fit(features, targets=TARGETS, weights=None, *, inverse_penalty=30.0, max_iterations=200):
    weights = np.ones(len(targets)) if weights is None else weights
    return fit_head(features, targets, weights, inverse_penalty=inverse_penalty, max_iterations=max_iterations)


def test_the_head_knows_what_it_was_fitted_on(features):
    head = fit(features)
    assert (head[0].shape, head[1].shape) == ((3, 384), (3,))
    assert apply_head(features, head).argmax(axis=1).tolist() == TARGETS.tolist()


def test_two_labels_give_the_odds_that_scikit_learn_gives(features):
    from sklearn.linear_model import LogisticRegression

    expected = LogisticRegression(C=30, max_iter=200).fit(features[:20], TARGETS[:20]).predict_proba(features)
    assert np.allclose(softmax(apply_head(features, fit(features[:20], TARGETS[:20]))), expected, atol=1e-3)


def test_weights_penalty_and_iterations_are_used(features):
    one = fit(features)[0]
    assert not np.allclose(one, fit(features, weights=np.where(np.arange(30) < 10, 1.0, 0.01))[0], atol=1e-2)
    assert np.linalg.norm(fit(features, inverse_penalty=0.1)[0]) < np.linalg.norm(one) / 5
    assert not np.allclose(one, fit(features, max_iterations=1)[0], atol=1e-2)


def test_a_label_of_one_example_gets_a_row(features):
    assert fit(features[:11], TARGETS[:11])[0].shape == (2, 384)


def test_the_penalty_suits_the_rows_held_out():
    rng = np.random.default_rng(0)
    targets, one = rng.integers(2, size=200), np.ones(200)
    noisy = rng.normal(size=(200, 40))
    noisy[:, 0] += targets * 0.5
    shared = rng.normal(size=200)
    hidden = np.column_stack([shared + 0.1 * targets, shared])  # told apart only by a large, free weight
    recipe = LogisticRecipe(kind="logistic", inverse_penalties=(0.001, 1.0, 10_000.0), folds=5, max_iterations=200)
    folds = cut_folds(targets, folds=5, rng=rng)
    assert choose_penalty(noisy, targets, one, held_out=folds, recipe=recipe) < 10_000
    assert choose_penalty(hidden, targets, one, held_out=folds, recipe=recipe) == 10_000
    assert choose_penalty(hidden, targets, one, held_out=[], recipe=recipe) == 1.0


def test_folds_hold_every_row_once_but_the_only_one_of_its_label():
    targets = np.array([0] * 7 + [1] * 2 + [2] + [3] * 11)
    folds = cut_folds(targets, folds=4, rng=np.random.default_rng(0))
    assert len(folds) == 4
    assert sorted(np.concatenate(folds).tolist()) == [row for row in range(21) if row != 9]
    assert all(set(np.delete(targets, fold)) == {0, 1, 2, 3} for fold in folds)
    assert all(1 <= np.isin(fold, np.arange(10, 21)).sum() <= 3 for fold in folds)
