import numpy as np
import pytest

import training.quadratic
from tests.training.parts import MESSAGES
from training.features import embed_texts
from training.heads import apply_head, fit_head, fit_line, head_arrays, head_of, head_shape
from training.quadratic import fit_quadratic

TARGETS = np.repeat([0, 1, 2], 10)
ONE = np.ones(30)


@pytest.fixture(scope="module")
def features(encoder):
    return embed_texts(encoder, [text for texts in MESSAGES.values() for text in texts], pooled_layers=3)


def fit(features, targets=TARGETS, weights=ONE, *, directions=20, penalty=0.1):
    return fit_quadratic(features, targets, weights, directions=directions, penalty=penalty)


def test_it_knows_what_it_was_fitted_on(features):
    head = fit(features)
    assert head_shape(head) == (3, 3 * 384)
    assert head.pairs.shape == (3, 20 * 21 / 2)
    assert apply_head(features, head).argmax(axis=1).tolist() == TARGETS.tolist()


def test_it_is_kernel_ridge_regression_under_its_kernel(features):
    from sklearn.kernel_ridge import KernelRidge

    head = fit(features[::2], TARGETS[::2], ONE[::2], directions=10)
    places = training.quadratic.project(features, head.centre, head.directions)
    peer = KernelRidge(alpha=0.1, kernel="poly", degree=2, gamma=1 / 1.3, coef0=0.3 / 1.3)
    scores = peer.fit(places[::2], np.eye(3)[TARGETS[::2]] - 1 / 3).predict(places) + 1 / 3
    expected = 3.5 * np.log(np.maximum(scores, 0) + 0.05)
    assert np.allclose(head.logits(features), expected, atol=0.02)


def test_pairs_tell_what_no_line_can():
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, size=400)
    features = np.column_stack([np.cos(angle), np.sin(angle)]).astype(np.float32)
    targets = (features[:, 0] * features[:, 1] > 0).astype(int)
    line = fit_head(features, targets, np.ones(400), inverse_penalty=30, max_iterations=200)
    head = fit(features, targets, np.ones(400))
    assert (apply_head(features, line).argmax(axis=1) == targets).mean() < 0.7
    assert (apply_head(features, head).argmax(axis=1) == targets).mean() > 0.97


@pytest.mark.parametrize("count", [29, 30])
def test_of_many_texts_sums_give_the_same(features, monkeypatch, count):
    data = features[:count], TARGETS[:count], np.linspace(0.2, 1, count)
    by_texts = fit(*data)
    monkeypatch.setattr(training.quadratic, "_MOST_ROWS", 10)
    by_sums = fit(*data)
    assert np.allclose(by_texts.logits(features), by_sums.logits(features), atol=0.02)


def test_of_many_texts_fewer_directions_are_kept(features, monkeypatch):
    monkeypatch.setattr(training.quadratic, "_MOST_ROWS", 10)
    monkeypatch.setattr(training.quadratic, "_MOST_SUMS", 60)
    assert fit(features).directions.shape == (3 * 384, 10)


def test_of_many_labels_fewer_directions_are_kept(features, monkeypatch):
    monkeypatch.setattr(training.quadratic, "_MOST_WEIGHTS", 3 * 60)
    assert fit(features).pairs.shape == (3, 55)


def test_weights_penalty_and_directions_are_used(features):
    said = fit(features).logits(features)
    assert not np.allclose(fit(features, weights=np.where(TARGETS == 1, 0.01, 1.0)).logits(features), said, atol=0.1)
    assert not np.allclose(fit(features, penalty=10).logits(features), said, atol=0.1)
    assert fit(features, directions=5).directions.shape == (3 * 384, 5)
    assert fit(features, directions=1000).directions.shape == (3 * 384, 29)


def test_a_score_below_zero_is_a_small_probability(features):
    logits = fit(features).logits(np.random.default_rng(0).normal(size=(200, 3 * 384)).astype(np.float32))
    assert np.isfinite(logits).all()
    assert logits.min() == pytest.approx(3.5 * np.log(0.05), abs=1e-3)


def test_one_text_and_none_are_read(features):
    head = fit(features)
    assert np.allclose(head.logits(features[:1]), head.logits(features)[:1], atol=1e-4)
    assert head.logits(features[:0]).shape == (0, 3)


def test_two_labels_of_one_text_each_are_fitted(features):
    head = fit(features[[0, 15]], np.array([0, 1]), np.ones(2))
    assert apply_head(features[[0, 15]], head).argmax(axis=1).tolist() == [0, 1]


def test_it_is_stored_and_read_back(features):
    head = fit(features)
    again = head_of(head_arrays(head))
    assert np.array_equal(apply_head(features, again), head.logits(features))
    with pytest.raises(KeyError, match="centre"):
        head_of({})


def test_a_line_is_a_start(features):
    weight, bias = fit_line(features, TARGETS, ONE, penalty=0.1)
    assert (weight.shape, bias.shape) == ((3, 3 * 384), (3,))
    assert (features @ weight.T + bias).argmax(axis=1).tolist() == TARGETS.tolist()
    assert not np.allclose(
        weight, fit_line(features, TARGETS, ONE * np.linspace(0.1, 1, 30), penalty=0.1)[0], atol=1e-3
    )
