"""Replay ways of choosing what to label over texts whose labels are known, and compare their learning curves."""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from labeling.selection.diversity import pick_badge
from labeling.selection.strategy import pick_batch
from labeling.selection.uncertainty import measure_entropy, measure_margin
from training.batches import Progress
from training.graph_head import GraphHead, Probe, TextGraph, build_text_graph, fit_graph_head, fit_probe
from training.label_names import are_telling
from training.learning_curve import LEVELS, Curve

UNIFORM: Final = "uniform"
_FIRST: Final = 3
_STEP: Final = 4
_GROWTH: Final = 1.1
"""The first budget is a third of the number of labels; budgets grow by a quarter of it, and by a tenth of what is
labelled where that is more: late steps teach little each."""

_SETTLED: Final = 2 / 3
"""A curve ends once it has stayed above the highest level since so large a share of its labels."""


@dataclass(frozen=True)
class Split:
    """Texts to choose from and texts to be measured on; label numbers 0 to classes - 1, -1 outside every label.

    ``features`` (n, d), ``test_features`` (t, d) and ``names`` (classes, d), the features of the labels' names spelt
    out, float32, each of length 1.
    """

    features: np.ndarray
    targets: np.ndarray
    test_features: np.ndarray
    test_targets: np.ndarray
    classes: int
    names: np.ndarray


@dataclass(frozen=True)
class Views:
    """The graph of a pool, and the views (v, ., d) of the test texts and of the labels' names."""

    graph: TextGraph
    test: np.ndarray
    names: np.ndarray


@dataclass
class Play:
    """One strategy's replay: the labelled rows in their order, and what it knows so far.

    ``by_names`` (n,) is what names alone say of each text, None for a strategy that does not ask; ``named`` whether the
    names are heard.
    """

    split: Split
    views: Views | None
    rng: np.random.Generator
    rows: np.ndarray
    probabilities: np.ndarray | None = None
    by_names: np.ndarray | None = None
    named: bool = False

    @property
    def free(self) -> np.ndarray:
        """The rows without a label."""
        return np.setdiff1d(np.arange(len(self.split.targets)), self.rows)


@dataclass(frozen=True)
class Strategy:
    """A way to choose, with the head that is asked for its doubt and measured: always the same one.

    ``choose`` returns ``count`` rows of the play without a label; ``text`` says in a few words what it does;
    ``uses_names``, of one that uses the graph, that the head learns from the labels' names too.
    """

    choose: Callable[[Play, int], np.ndarray]
    text: str
    uses_graph: bool = False
    uses_names: bool = False
    asks_model: bool = True


def _draw(play: Play, count: int) -> np.ndarray:
    return play.rng.permutation(play.free)[:count]


def _choose_margin(play: Play, count: int) -> np.ndarray:
    return _choose_doubtful(play, count, lambda said: 1 - measure_margin(said))


def _choose_entropy(play: Play, count: int) -> np.ndarray:
    return _choose_doubtful(play, count, measure_entropy)


def _choose_doubtful(play: Play, count: int, measure: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    if play.probabilities is None:
        return _draw(play, count)
    free = play.rng.permutation(play.free)
    return free[np.argsort(-measure(play.probabilities[free]), kind="stable")[:count]]


def _choose_badge(play: Play, count: int) -> np.ndarray:
    if play.probabilities is None:
        return _draw(play, count)
    free = play.free
    return free[pick_badge(play.split.features[free], play.probabilities[free], count, rng=play.rng)]


def _choose_cover(play: Play, count: int) -> np.ndarray:
    free, split = play.free, play.split
    doubt = np.ones(len(free)) if play.probabilities is None else 1 - measure_margin(play.probabilities[free])
    picked = pick_batch(
        split.features[free],
        doubt,
        labelled=split.features[play.rows],
        targets=split.targets[play.rows],
        classes=split.classes,
        count=count,
        rng=play.rng,
        named=play.named,
    )
    return free[picked]


STRATEGIES: Final[Mapping[str, Strategy]] = {
    UNIFORM: Strategy(_draw, "texts drawn alike, plain logistic regression", asks_model=False),
    "margin": Strategy(_choose_margin, "the least sure texts, plain logistic regression"),
    "entropy": Strategy(_choose_entropy, "the texts of the widest doubt, plain logistic regression"),
    "badge": Strategy(_choose_badge, "texts that would change the model in different ways, plain logistic regression"),
    "cover": Strategy(_choose_cover, "typical texts, then a cover of the doubt, plain logistic regression"),
    "graph": Strategy(_choose_cover, "typical texts, then a cover of the doubt, with the graph head", uses_graph=True),
    "system": Strategy(
        _choose_cover,
        "a cover of the doubt, with the graph head and the labels' names",
        uses_graph=True,
        uses_names=True,
    ),
}


def plan_budgets(classes: int, pool: int) -> list[int]:
    """Return the numbers of labelled texts at which a model is fitted, up to the whole pool."""
    budgets = [min(max(classes // _FIRST, 2), pool)]
    while budgets[-1] < pool:
        step = max(classes // _STEP, 2, int(budgets[-1] * (_GROWTH - 1)))
        budgets.append(min(budgets[-1] + step, pool))
    return budgets


def measure_full(split: Split) -> float:
    """Return the accuracy of plain logistic regression with the whole pool labelled, in [0, 1]."""
    columns = _columns(split.targets, split.classes)
    said = fit_probe(split.features, columns).log_probabilities(split.test_features, split.classes + 1)
    return _accuracy(said, split)


def prepare_graph(split: Split, strategies: Sequence[str]) -> Views | None:
    """Return the graph of the pool with the views of what is not in it, None where no strategy asks for it."""
    if not any(STRATEGIES[name].uses_graph for name in strategies):
        return None
    graph = build_text_graph(split.features)
    return Views(graph, graph.carry(split.test_features), graph.carry(split.names))


def play_strategy(
    strategy: Strategy,
    split: Split,
    *,
    full: float,
    views: Views | None,
    seed: int,
    budget: int | None = None,
    level: float = max(LEVELS),
    on_progress: Progress | None = None,
) -> Curve:
    """Label texts batch by batch as the strategy chooses, and measure after each batch.

    The first texts of uniform, margin, entropy and badge are the same draw. A curve ends with the pool, with
    ``budget``, or once it has stayed above ``level`` since two thirds of its labels; that end saves time and decides
    nothing.

    Args:
        strategy: one of ``STRATEGIES``, or another.
        split: the texts.
        full: of ``measure_full``.
        views: of ``prepare_graph``.
        seed: decides every draw.
        budget: the most labels to spend, None for the pool.
        level: the highest share of ``full`` that anyone will ask about.
        on_progress: told of the share of the pool that is labelled.
    """
    pool = len(split.targets)
    play = Play(split, views, np.random.default_rng(seed), np.zeros(0, dtype=np.int64))
    if strategy.uses_names and views is not None:
        _hear_names(play, views)
    budgets: list[int] = []
    accuracies: list[float] = []
    for wanted in plan_budgets(split.classes, min(pool, budget or pool)):
        play.rows = np.concatenate([play.rows, strategy.choose(play, wanted - len(play.rows))])
        budgets.append(wanted)
        accuracies.append(_learn(play, strategy))
        if on_progress:
            on_progress(wanted / pool, f"{wanted:,} labels, accuracy {accuracies[-1]:.1%}")
        since = bisect_right(budgets, _SETTLED * wanted)
        if since and min(accuracies[since - 1 :]) >= level * full:
            break
    return Curve(tuple(budgets), tuple(accuracies), full, pool)


def _hear_names(play: Play, views: Views) -> None:
    """Let the play begin with a head that learnt from the labels' names alone."""
    play.named = True
    play.probabilities = _fit_on_views(play, views).probabilities(views.graph.views)
    play.by_names = play.probabilities[:, : play.split.classes].argmax(axis=1)


def _fit_on_views(play: Play, views: Views) -> GraphHead:
    targets = play.split.targets[play.rows]
    names = views.names if play.named else None
    return fit_graph_head(views.graph, play.rows, targets, classes=play.split.classes, names=names)


def _learn(play: Play, strategy: Strategy) -> float:
    """Fit the strategy's head on what is labelled, keep what it says of the pool, return its accuracy."""
    split = play.split
    if play.by_names is not None:
        play.named = are_telling(play.by_names[play.rows], split.targets[play.rows], split.classes)
    if strategy.uses_graph and play.views is not None:
        head = _fit_on_views(play, play.views)
        if strategy.asks_model:
            play.probabilities = head.probabilities(play.views.graph.views)
        return _accuracy(head.probabilities(play.views.test), split)
    probe = fit_probe(split.features[play.rows], _columns(split.targets[play.rows], split.classes))
    if strategy.asks_model:
        play.probabilities = _said(probe, split.features, split.classes)
    return _accuracy(_said(probe, split.test_features, split.classes), split)


def _said(probe: Probe, features: np.ndarray, classes: int) -> np.ndarray:
    return np.exp(probe.log_probabilities(features, classes + 1))


def _columns(targets: np.ndarray, classes: int) -> np.ndarray:
    return np.where(targets < 0, classes, targets)


def _accuracy(said: np.ndarray, split: Split) -> float:
    return float((said.argmax(axis=1) == _columns(split.test_targets, split.classes)).mean())
