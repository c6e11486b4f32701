"""The graph head learns from how unlabelled texts lie, knows the reject class, and survives odd pools."""

import numpy as np
import pytest

from tests.training.blobs import make_blobs
from training.graph_head import build_text_graph, fit_graph_head, fit_probe


def learn(features, targets, rows, *, classes):
    graph = build_text_graph(features)
    return graph, fit_graph_head(graph, rows, targets[rows], classes=classes)


def accuracy(head, graph, features, targets) -> float:
    return float((head.probabilities(graph.carry(features)).argmax(1) == targets).mean())


def test_with_one_label_each_it_beats_a_plain_regression_on_new_texts() -> None:
    features, targets = make_blobs((80,) * 5, seed=1, spread=1.1)
    new, truth = make_blobs((80,) * 5, seed=2, spread=1.1)
    gains = []
    for seed in range(6):
        order = np.random.default_rng(seed).permutation(400)
        rows = np.array([order[np.flatnonzero(targets[order] == label)[0]] for label in range(5)])
        graph, head = learn(features, targets, rows, classes=5)
        plain = fit_probe(features[rows], targets[rows]).log_probabilities(new, 6).argmax(1)
        gains.append(accuracy(head, graph, new, truth) - (plain == truth).mean())
    assert np.mean(gains) > 0.03


def test_probabilities_sum_to_one_over_labels_and_the_reject_class() -> None:
    features, targets = make_blobs((40, 40, 40), seed=3)
    outside = np.where(targets == 2, -1, targets)
    rows = np.arange(60)
    graph, head = learn(features, outside, rows, classes=2)
    said = head.probabilities(graph.views)
    assert said.shape == (120, 3)
    np.testing.assert_allclose(said.sum(1), 1)
    assert (said[60:].argmax(1) == np.where(outside[60:] < 0, 2, outside[60:])).mean() > 0.9


def test_a_label_without_texts_is_hardly_ever_said() -> None:
    features, targets = make_blobs((30, 30), seed=4)
    graph, head = learn(features, targets, np.arange(10), classes=7)
    assert head.probabilities(graph.views)[:, 2:].max() < 1e-6


@pytest.mark.parametrize("rows", [[0], [0, 1, 2]])
def test_few_labels_are_no_fault(rows: list[int]) -> None:
    features, targets = make_blobs((20, 20), seed=5)
    graph, head = learn(features, targets, np.array(rows), classes=2)
    assert np.isfinite(head.probabilities(graph.views)).all()


def test_copies_count_as_one_text_and_share_their_feature() -> None:
    features, _ = make_blobs((15, 15), seed=6)
    copied = np.vstack([features, np.repeat(features[:1], 40, axis=0)])
    with_copies, without = build_text_graph(copied), build_text_graph(features)
    np.testing.assert_allclose(with_copies.views[:, :30], without.views, atol=1e-4)
    assert (with_copies.views[:, 30:] == with_copies.views[:, :1]).all()


@pytest.mark.parametrize("size", [2, 3, 12])
def test_a_pool_smaller_than_the_neighbourhood_is_no_fault(size: int) -> None:
    features, _ = make_blobs((size,), seed=7)
    graph = build_text_graph(features)
    assert np.isfinite(graph.carry(features)).all()


def test_a_text_of_the_pool_is_carried_close_to_where_it_lies() -> None:
    features, _ = make_blobs((60, 60), seed=8)
    graph = build_text_graph(features)
    assert (graph.carry(features) * graph.views).sum(2).min() > 0.8


def test_where_neighbours_mislead_it_stays_close_to_a_plain_regression() -> None:
    rng = np.random.default_rng(9)
    features, _ = make_blobs((500,), seed=9, spread=2.0)
    targets = (features @ rng.normal(size=16) > 0).astype(int)
    new, truth, rows = features[300:], targets[300:], np.arange(200)
    graph, head = learn(features[:300], targets[:300], rows, classes=2)
    plain = fit_probe(features[rows], targets[rows]).log_probabilities(new, 3).argmax(1)
    assert accuracy(head, graph, new, truth) > (plain == truth).mean() - 0.05


def test_names_are_learnt_like_texts_and_are_enough_where_nothing_is_labelled() -> None:
    features, targets = make_blobs((30, 30, 30), seed=7, spread=0.6)
    graph = build_text_graph(features)
    names = graph.carry(np.stack([features[targets == label].mean(axis=0) for label in range(3)]))
    nothing = np.zeros(0, int)
    head = fit_graph_head(graph, nothing, nothing, classes=3, names=names)
    assert (head.probabilities(graph.views).argmax(1) == targets).mean() > 0.9
