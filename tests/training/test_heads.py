import numpy as np
import pytest

from tests.training.parts import MESSAGES
from training.features import embed_texts
from training.heads import fit_head
from training.recipe import HeadRecipe
from training.scoring import softmax

RECIPE = HeadRecipe(inverse_penalty=30, max_iterations=200)


@pytest.fixture(scope="module")
def features(encoder):
    return embed_texts(encoder, [text for texts in MESSAGES.values() for text in texts])


LABELS = [label for label, texts in MESSAGES.items() for _ in texts]


def test_the_head_knows_what_it_was_fitted_on(features):
    names = ("refund", "login", "delivery")
    weight, bias = fit_head(features, LABELS, np.ones(30), names=names, recipe=RECIPE)
    assert (weight.shape, bias.shape) == ((3, 384), (3,))
    assert [names[place] for place in (features @ weight.T + bias).argmax(axis=1)] == LABELS


def test_two_labels_give_the_odds_that_scikit_learn_gives(features):
    from sklearn.linear_model import LogisticRegression

    two = features[:20], LABELS[:20]
    weight, bias = fit_head(*two, np.ones(20), names=("delivery", "refund"), recipe=RECIPE)
    expected = LogisticRegression(C=30, max_iter=200).fit(*two).predict_proba(features)
    assert np.allclose(softmax(features @ weight.T + bias), expected, atol=1e-3)


def test_weights_and_penalty_are_used(features):
    one = fit_head(features, LABELS, np.ones(30), names=tuple(MESSAGES), recipe=RECIPE)[0]
    trusted = np.where(np.arange(30) < 10, 1.0, 0.01)
    other = fit_head(features, LABELS, trusted, names=tuple(MESSAGES), recipe=RECIPE)[0]
    tight = RECIPE.model_copy(update={"inverse_penalty": 0.1})
    small = fit_head(features, LABELS, np.ones(30), names=tuple(MESSAGES), recipe=tight)[0]
    short = RECIPE.model_copy(update={"max_iterations": 1})
    early = fit_head(features, LABELS, np.ones(30), names=tuple(MESSAGES), recipe=short)[0]
    assert not np.allclose(one, other, atol=1e-2)
    assert np.linalg.norm(small) < np.linalg.norm(one) / 5
    assert not np.allclose(one, early, atol=1e-2)


def test_a_label_of_one_example_gets_a_row(features):
    weight, _ = fit_head(features[:11], LABELS[:11], np.ones(11), names=("delivery", "refund"), recipe=RECIPE)
    assert weight.shape == (2, 384)
