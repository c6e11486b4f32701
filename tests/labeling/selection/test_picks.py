import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.selection.picks import Picks
from tests.labeling.selection.pools import directions


def make_picks(features, *, known=None, groups=None, similarity=0.95, limit=100) -> Picks:
    known = features[:0] if known is None else known
    named = None if groups is None else pl.Series(groups, dtype=pl.String)
    return Picks(features, known, named, similarity=similarity, limit=limit)


def test_near_duplicates_of_one_another_and_of_what_is_known_are_passed_over():
    features = np.repeat(np.eye(4, dtype=np.float32), 3, axis=0)
    picks = make_picks(features, known=features[:1])
    assert picks.take(np.arange(12), 12) == [3, 6, 9]
    assert picks.duplicates == 9
    assert make_picks(features, similarity=1.0).take(np.arange(12), 12) == [0, 3, 6, 9]


def test_taking_stops_at_the_count_and_remembers():
    picks = make_picks(np.eye(4, dtype=np.float32))
    assert picks.take(np.array([2, 0]), 1) == [2]
    assert picks.take(np.arange(4), 4) == [0, 1, 3]
    assert picks.take(np.arange(4), 4) == []
    assert picks.rows == [2, 0, 1, 3]
    assert picks.duplicates == 0


def test_a_group_is_taken_up_to_its_limit_and_what_belongs_to_none_is_not_limited():
    picks = make_picks(np.eye(6, dtype=np.float32), groups=["a", "a", None, None, "a", "b"], limit=1)
    assert picks.take(np.arange(6), 6) == [0, 2, 3, 5]
    assert picks.capped == 2


@settings(max_examples=25, deadline=None)
@given(size=st.integers(1, 700), similarity=st.floats(0.1, 0.99), seed=st.integers(0, 99))
def test_no_two_picked_rows_are_near_and_each_row_passed_over_is_near_to_one_picked(size, similarity, seed):
    features = directions(size, np.random.default_rng(seed), width=3)
    rows = make_picks(features, similarity=similarity).take(np.arange(size), size)
    cosines = features[rows] @ features.T
    assert (np.triu(cosines[:, rows], 1) < similarity + 1e-5).all()
    left = np.setdiff1d(np.arange(size), rows)
    assert (cosines[:, left].max(axis=0) >= similarity - 1e-5).all()
