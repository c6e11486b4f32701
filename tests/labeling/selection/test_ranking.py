import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.selection.ranking import draw_ties, find_distinct, find_highest

SCORES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, float("nan")]), max_size=60)


@settings(max_examples=60, deadline=None)
@given(scores=SCORES, count=st.integers(0, 70), seed=st.integers(0, 99))
def test_the_highest_are_those_that_a_full_sort_gives(scores, count, seed):
    scores = np.array(scores, dtype=float)
    ties = np.random.default_rng(seed).permutation(len(scores)).astype(np.uint64)
    scored = [row for row in np.lexsort((ties, -scores)) if not np.isnan(scores[row])]
    assert find_highest(scores, ties, count).tolist() == scored[:count]


def test_of_copies_the_first_is_found_however_many_crowd_the_top():
    scores, copies = np.ones(1000), np.zeros(1000, dtype=np.uint64)
    copies[-3:] = [1, 2, 3]
    scores[-3:] = [0.5, 0.25, np.nan]
    assert copies[find_distinct(scores, np.arange(1000), copies, 3)].tolist() == [0, 1, 2]
    assert find_distinct(scores, np.arange(1000), copies, 0).tolist() == []


def test_ties_follow_the_name_and_the_chance_not_the_place():
    names = pl.Series([f"i{number}" for number in range(50)])
    first = draw_ties(names, np.random.default_rng(1))
    assert draw_ties(names.reverse(), np.random.default_rng(1)).tolist() == first[::-1].tolist()
    assert (np.argsort(draw_ties(names, np.random.default_rng(2))) != np.argsort(first)).any()
