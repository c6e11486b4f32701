"""Messages outside every label that look alike: candidates for a new label."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import sqrt
from typing import Final

import numpy as np

_DENSE: Final = 3
"""A message is in a group's midst where so many, itself among them, lie close; docs/taxonomy.md says why so few."""
_PRIOR: Final = 0.1
"""What each word counts before anything was seen, as a share of how often it stands in all messages."""
_WEEK: Final = timedelta(days=7)


@dataclass(frozen=True)
class Cluster:
    """A group of alike messages; ``members`` are positions in the input, the most typical first."""

    members: tuple[int, ...]


def find_clusters(features: np.ndarray, *, smallest: int) -> list[Cluster]:
    """Group messages by density (HDBSCAN; Campello, Moulavi and Sander, 2013); stragglers belong to none.

    The tree's leaves are taken, which are narrow: two groups of one intent are soon seen to be one, while one group of
    two intents is hard to name.

    Args:
        features: float32 of shape (n, d), rows of unit length.
        smallest: the least number of messages that make a group (>= 2).

    Returns:
        Groups, the largest first; none where ``n`` is below ``smallest``.
    """
    from sklearn.cluster import HDBSCAN

    if len(features) < smallest:
        return []
    dense = min(_DENSE, smallest)
    tree = HDBSCAN(smallest, min_samples=dense, cluster_selection_method="leaf", copy=True)  # pyright: ignore[reportArgumentType]
    found = tree.fit(features)
    clusters = [
        Cluster(_typical_first(features, np.flatnonzero(found.labels_ == label)))
        for label in sorted(set(found.labels_.tolist()) - {-1})
    ]
    return sorted(clusters, key=lambda cluster: len(cluster.members), reverse=True)


def _typical_first(features: np.ndarray, members: np.ndarray) -> tuple[int, ...]:
    closeness = features[members] @ features[members].mean(axis=0)
    return tuple(members[np.argsort(-closeness, kind="stable")].tolist())


def find_telling_words(groups: Sequence[Sequence[str]], others: Sequence[str], *, count: int = 6) -> list[list[str]]:
    """Return for each group of messages the words and pairs of words that tell it from all other messages.

    Ranked by the log-odds of a word in the group against the rest, shrunk towards all messages' by a Dirichlet prior
    and divided by its standard error (Monroe, Colaresi and Quinn, 2008). A word that stands in fewer than two messages
    of the group tells nothing, and might be somebody's.

    Args:
        groups: the messages of each group.
        others: messages that belong to none.
        count: how many words at most.
    """
    from scipy.sparse import csr_array
    from sklearn.feature_extraction.text import CountVectorizer

    texts = [text for group in groups for text in group] + list(others)
    if not groups or not any(text.strip() for text in texts):
        return [[] for _ in groups]
    counter = CountVectorizer(ngram_range=(1, 2), stop_words="english", binary=True)
    try:
        counts = csr_array(counter.fit_transform(texts))
    except ValueError:  # nothing but stop words
        return [[] for _ in groups]
    words = counter.get_feature_names_out()
    total = np.asarray(counts.sum(axis=0)).ravel().astype(float)
    told, start = [], 0
    for group in groups:
        here = np.asarray(counts[start : start + len(group)].sum(axis=0)).ravel().astype(float)
        start += len(group)
        scores = np.where(here >= 2, _log_odds(here, total - here, total), -np.inf)
        best = [str(words[place]) for place in np.argsort(-scores, kind="stable") if scores[place] > 0]
        told.append(_without_parts(best, count))
    return told


def _log_odds(here: np.ndarray, elsewhere: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Return the z-score of each word's log-odds between two sets, (words,)."""
    prior = _PRIOR * total + 1e-3
    one, other = here + prior, elsewhere + prior
    odds = np.log(one / (one.sum() - one)) - np.log(other / (other.sum() - other))
    return odds / np.sqrt(1 / one + 1 / other)


def _without_parts(words: Sequence[str], count: int) -> list[str]:
    """Return the first ``count`` of ``words``, leaving out those that are part of one that is chosen."""
    chosen: list[str] = []
    for word in words:
        if len(chosen) == count:
            break
        if not any(set(word.split()) <= set(other.split()) for other in chosen):
            chosen.append(word)
    return chosen


def match_groups(groups: Sequence[frozenset[str]], known: Mapping[str, frozenset[str]]) -> list[str | None]:
    """Return for each group the known one that it continues, None where it is new; no known one is taken twice.

    A group continues the one that shares the most messages with it, if those are half of the smaller of both.
    """
    shares = sorted(
        (
            (len(group & members) / min(len(group), len(members)), len(group & members), name, place)
            for place, group in enumerate(groups)
            for name, members in known.items()
            if group & members
        ),
        reverse=True,
    )
    found: dict[int, str] = {}
    for share, _, name, place in shares:
        if share >= 0.5 and place not in found and name not in found.values():
            found[place] = name
    return [found.get(place) for place in range(len(groups))]


def count_weeks(times: Iterable[datetime], *, now: datetime, weeks: int) -> list[int]:
    """Return how many of ``times`` lie in each of the last ``weeks`` before ``now``, the earliest week first."""
    ages = Counter(int((now - at) / _WEEK) for at in times if at <= now)
    return [ages[week] for week in range(weeks - 1, -1, -1)]


def growth(weeks: Sequence[int]) -> float:
    """Return how surely the second half of ``weeks`` has more than the first: a z-score; 0 where nothing came.

    Of two Poisson counts the difference of the square roots is close to normal (Anscombe, 1948).
    """
    half = len(weeks) // 2
    early, late = sum(weeks[:half]), sum(weeks[-half:]) if half else 0
    return sqrt(2) * (sqrt(late + 3 / 8) - sqrt(early + 3 / 8))
