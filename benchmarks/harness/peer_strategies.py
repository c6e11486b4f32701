"""What small-text and scikit-activeml would label next, as strategies of the same replay."""

import warnings
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from training.backtest import Play, Strategy

_BADGE_CANDIDATES: Final = 1000
"""Both libraries make the whole (n, labels * d) matrix of gradients: 2.4 GB for BANKING77's 10,000 texts."""


def peer_strategies() -> dict[str, Strategy]:
    """Return each peer's margin, BADGE, TypiClust and CoreSet, where it has one, by name.

    TypiClust clusters by mini-batch k-means, as its authors do beyond fifty clusters. BADGE is given a thousand free
    texts, drawn anew each batch. Until something is labelled each draws uniformly, but for the two that need no model.
    """
    return {
        "small-text margin": _warm(_breaking_ties),
        "small-text BADGE": _warm(_small_text_badge),
        "small-text CoreSet": _warm(_greedy_coreset),
        "scikit-activeml margin": _warm(_margin),
        "scikit-activeml BADGE": _warm(_badge),
        "scikit-activeml TypiClust": Strategy(_typi_clust, "", asks_model=False),
        "scikit-activeml CoreSet": Strategy(_core_set, "", asks_model=False),
    }


def _warm(choose: Callable[[Play, int], np.ndarray]) -> Strategy:
    def choose_or_draw(play: Play, count: int) -> np.ndarray:
        return play.rng.permutation(play.free)[:count] if play.probabilities is None else choose(play, count)

    return Strategy(choose_or_draw, "")


class _Answers:
    """What a library asks of a classifier: the probabilities of rows that are named by their number."""

    def __init__(self, probabilities: np.ndarray) -> None:
        self._probabilities = probabilities

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        return self._probabilities[np.asarray(rows)]


def _probabilities(play: Play) -> np.ndarray:
    if play.probabilities is None:
        raise ValueError("a peer that asks the model needs its probabilities")
    return play.probabilities


def _breaking_ties(play: Play, count: int) -> np.ndarray:
    from small_text.query_strategies.strategies import BreakingTies

    every = np.arange(len(play.split.targets))
    known = play.split.targets[play.rows]
    return np.asarray(BreakingTies().query(_Answers(_probabilities(play)), every, play.free, play.rows, known, n=count))


def _small_text_badge(play: Play, count: int) -> np.ndarray:
    from small_text.integrations.pytorch.query_strategies.strategies import BADGE

    drawn = play.rng.permutation(play.free)[: max(_BADGE_CANDIDATES, count)]
    said = _probabilities(play)
    found = BADGE(said.shape[1]).sample(
        None, None, drawn, play.rows, None, count, play.split.features, embeddings_proba=said
    )
    return drawn[_fill(np.asarray(found), len(drawn), count)]


def _greedy_coreset(play: Play, count: int) -> np.ndarray:
    from small_text.query_strategies.coresets import greedy_coreset

    free = play.free
    found = greedy_coreset(play.split.features, free, play.rows, count, distance_metric="euclidean", normalized=True)
    return free[_fill(np.asarray(found), len(free), count)]


def _margin(play: Play, count: int) -> np.ndarray:
    from skactiveml.pool import UncertaintySampling

    return _ask(UncertaintySampling("margin_sampling", random_state=_seed(play)), play, count, play.free, model=True)


def _badge(play: Play, count: int) -> np.ndarray:
    from skactiveml.pool import Badge

    drawn = play.rng.permutation(play.free)[: max(_BADGE_CANDIDATES, count)]
    return _ask(Badge(random_state=_seed(play)), play, count, drawn, model=True)


def _typi_clust(play: Play, count: int) -> np.ndarray:
    from skactiveml.pool import TypiClust
    from sklearn.cluster import MiniBatchKMeans

    return _ask(TypiClust(random_state=_seed(play), cluster_algo=MiniBatchKMeans), play, count, play.free)


def _core_set(play: Play, count: int) -> np.ndarray:
    from skactiveml.pool import CoreSet

    return _ask(CoreSet(random_state=_seed(play)), play, count, play.free)


def _ask(strategy: Any, play: Play, count: int, candidates: np.ndarray, *, model: bool = False) -> np.ndarray:
    """Return what a strategy of scikit-activeml chooses among ``candidates``, asking the head where ``model``."""
    answers = np.full(len(play.split.targets), np.nan)
    answers[play.rows] = play.split.targets[play.rows]
    asked = {"clf": _fitted(play), "fit_clf": False} if model else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(
            strategy.query(play.split.features, answers, candidates=candidates, batch_size=count, **asked), dtype=int
        )


def _fitted(play: Play) -> Any:
    """Return scikit-activeml's kind of classifier around the probabilities that the replay's head gave."""
    from skactiveml.base import SkactivemlClassifier

    said, features = _probabilities(play), play.split.features

    class Head(SkactivemlClassifier):
        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "Head":  # noqa: N803
            del X, y, sample_weight
            return self

        def predict_proba(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
            return said[_find_rows(features, X)]

    return Head(classes=list(range(said.shape[1])))


def _find_rows(features: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Return which rows of ``features`` those of ``asked`` are; copies are alike, and so is what is said of them."""
    place = {row.tobytes(): number for number, row in enumerate(features)}
    return np.array([place[row.tobytes()] for row in np.ascontiguousarray(asked, dtype=features.dtype)])


def _fill(found: np.ndarray, free: int, count: int) -> np.ndarray:
    """Return ``count`` different places: those found, then the next that are free."""
    chosen = list(dict.fromkeys(found.tolist()))
    return np.array([*chosen, *np.setdiff1d(np.arange(free), chosen)])[:count]


def _seed(play: Play) -> int:
    return int(play.rng.integers(2**31 - 1))
