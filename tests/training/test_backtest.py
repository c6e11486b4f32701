"""Replaying strategies: no text labelled twice, repeatable, better than chance draws, and at ease with odd data."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from labeling.selection.neighbours import unit
from tests.training.blobs import make_blobs
from training.backtest import STRATEGIES, Split, measure_full, plan_budgets, play_strategy, prepare_graph
from training.learning_curve import labels_at_least


def make_split(sizes=(60, 40, 30, 20, 10, 5), *, spread=0.9, outside=(), classes=None, seed=1, named=False) -> Split:
    """Return blobs; a label's name lies at the middle of its blob where ``named``, anywhere otherwise."""
    features, targets = make_blobs(sizes, seed=seed, spread=spread)
    test, truth = make_blobs((30,) * len(sizes), seed=seed + 1, spread=spread)
    kept = [label for label in range(len(sizes)) if label not in outside]
    number = np.full(len(sizes), -1)
    number[kept] = np.arange(len(kept))
    rng = np.random.default_rng(seed)
    names = unit(rng.normal(size=(classes or len(kept), features.shape[1])).astype(np.float32))
    if named:
        names = unit(np.stack([features[targets == label].mean(axis=0) for label in kept]))
    return Split(features, number[targets], test, number[truth], classes or len(kept), names)


def play(name, split, *, seed=0, budget=None):
    views = prepare_graph(split, [name])
    return play_strategy(STRATEGIES[name], split, full=measure_full(split), views=views, seed=seed, budget=budget)


def test_budgets_go_from_a_third_of_the_labels_to_the_pool_in_steps_of_a_quarter_or_a_tenth() -> None:
    budgets = plan_budgets(77, 3000)
    assert budgets[:3] == [25, 44, 63]
    assert budgets[-1] == 3000
    steps = [after - before for before, after in itertools.pairwise(budgets[:-1])]
    assert steps == sorted(steps)
    assert plan_budgets(2, 2) == [2]
    assert plan_budgets(5, 4) == [2, 4]


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_a_strategy_plays_to_the_end_and_the_same_again(name: str) -> None:
    split = make_split()
    curve = play(name, split, budget=40)
    assert curve.budgets[0] == 2
    assert curve == play(name, split, budget=40)
    assert all(0 <= accuracy <= 1 for accuracy in curve.accuracies)


@pytest.mark.parametrize("name", ["uniform", "margin", "entropy", "badge", "cover"])
def test_with_the_whole_pool_labelled_every_plain_strategy_has_full_data_accuracy(name: str) -> None:
    split = make_split((10, 10, 10), spread=1.6)
    curve = play(name, split)
    if curve.budgets[-1] == len(split.targets):
        assert curve.accuracies[-1] == pytest.approx(curve.full, abs=0.03)


def test_the_graph_head_needs_fewer_labels_than_uniform_ones_of_an_uneven_pool() -> None:
    needed = {name: [] for name in ("uniform", "graph")}
    for seed in range(3):
        split = make_split(seed=10 * seed)
        for name, found in needed.items():
            found.append(labels_at_least(play(name, split, seed=seed), 0.95))
    assert np.mean(needed["graph"]) < 0.7 * np.mean(needed["uniform"])


def test_telling_names_save_labels_from_the_first_text_on() -> None:
    split = make_split((30,) * 12, spread=1.6, named=True)
    assert play("system", split, budget=4).accuracies[0] > play("graph", split, budget=4).accuracies[0] + 0.2


@pytest.mark.parametrize("outside", [(), (3, 4, 5)])
def test_names_that_say_nothing_are_no_longer_heard_after_the_first_batch(outside: tuple[int, ...]) -> None:
    split = make_split((30,) * 12, outside=outside)
    misled, without = play("system", split, budget=36), play("graph", split, budget=36)
    assert misled.accuracies[0] < without.accuracies[0]
    assert misled.accuracies[-1] > without.accuracies[-1] - 0.05


@pytest.mark.parametrize(
    "split",
    [
        make_split((12, 12)),
        make_split((40, 2, 1)),
        make_split((20, 20, 60), outside=(2,)),
        make_split((3,) * 12),
        make_split((15, 15), classes=6),
    ],
    ids=["two labels", "hardly any of some", "mostly outside every label", "three texts a label", "labels unseen"],
)
@pytest.mark.parametrize("name", ["badge", "cover", "graph", "system"])
def test_odd_data_are_played_too(name: str, split: Split) -> None:
    curve = play(name, split, budget=24)
    assert np.isfinite(curve.accuracies).all()


def test_a_pool_full_of_copies_is_played_too() -> None:
    split = make_split((12, 12))
    copied = replace(
        split, features=np.repeat(split.features, 15, axis=0), targets=np.repeat(split.targets, 15, axis=0)
    )
    assert play("system", copied, budget=20).accuracies[-1] > 0.8
