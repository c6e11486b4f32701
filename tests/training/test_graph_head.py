"""The graph head learns from how unlabelled texts lie, knows the reject class, and survives odd pools."""

import numpy as np
import pytest

from tests.training.blobs import make_blobs
from training.graph_head import build_text_graph, choose_plain_weight, fit_graph_head, fit_probe


def learn(features, targets, rows, *, classes, weight=0.5):
    graph = build_text_graph(features)
    return graph, fit_graph_head(graph, rows, targets[rows], classes=classes, plain_weight=weight)


def accuracy(head, graph, features, targets) -> float:
    return float((head.probabilities(features, graph.carry(features)).argmax(1) == targets).mean())


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
    said = head.probabilities(features, graph.diffused)
    assert said.shape == (120, 3)
    np.testing.assert_allclose(said.sum(1), 1)
    assert (said[60:].argmax(1) == np.where(outside[60:] < 0, 2, outside[60:])).mean() > 0.9


def test_a_label_without_texts_is_hardly_ever_said() -> None:
    features, targets = make_blobs((30, 30), seed=4)
    graph, head = learn(features, targets, np.arange(10), classes=7)
    assert head.probabilities(features, graph.diffused)[:, 2:].max() < 1e-6


@pytest.mark.parametrize("rows", [[0], [0, 1, 2]])
def test_few_labels_are_no_fault_and_leave_the_first_weight(rows: list[int]) -> None:
    features, targets = make_blobs((20, 20), seed=5)
    graph, head = learn(features, targets, np.array(rows), classes=2)
    assert np.isfinite(head.probabilities(features, graph.diffused)).all()
    weight = choose_plain_weight(graph, np.array(rows[:1]), targets[rows[:1]], classes=2, rng=np.random.default_rng(0))
    assert weight == 0.5


def test_copies_count_as_one_text_and_share_their_feature() -> None:
    features, _ = make_blobs((15, 15), seed=6)
    copied = np.vstack([features, np.repeat(features[:1], 40, axis=0)])
    with_copies, without = build_text_graph(copied), build_text_graph(features)
    np.testing.assert_allclose(with_copies.diffused[:30], without.diffused, atol=1e-4)
    assert (with_copies.diffused[30:] == with_copies.diffused[0]).all()


@pytest.mark.parametrize("size", [2, 3, 12])
def test_a_pool_smaller_than_the_neighbourhood_is_no_fault(size: int) -> None:
    features, _ = make_blobs((size,), seed=7)
    graph = build_text_graph(features)
    assert np.isfinite(graph.carry(features)).all()


def test_a_text_of_the_pool_is_carried_close_to_where_it_lies() -> None:
    features, _ = make_blobs((60, 60), seed=8)
    graph = build_text_graph(features)
    assert (graph.carry(features) * graph.diffused).sum(1).min() > 0.8


def test_where_neighbours_mislead_the_plain_regression_is_trusted() -> None:
    rng = np.random.default_rng(9)
    features, _ = make_blobs((300,), seed=9, spread=2.0)
    direction = rng.normal(size=16)
    targets = (features @ direction > 0).astype(int)
    graph = build_text_graph(features)
    rows = np.arange(200)
    weight = choose_plain_weight(graph, rows, targets[rows], classes=2, rng=rng)
    assert weight >= 1
