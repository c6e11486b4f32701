import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeling.settling.shrinking import shrink_shares


def test_groups_that_differ_keep_their_shares_and_groups_that_do_not_are_pooled():
    tries = np.full(20, 100.0)
    alike, mean = shrink_shares(np.full(20, 50.0), tries, right=1, wrong=1)
    assert alike == pytest.approx(np.full(20, mean), abs=0.01)
    apart, _ = shrink_shares(np.where(np.arange(20) % 2, 90.0, 10.0), tries, right=1, wrong=1)
    assert sorted(set(np.round(apart, 2))) == [0.11, 0.89]


def test_a_group_of_which_nothing_is_known_has_the_mean():
    shares, mean = shrink_shares(np.array([30.0, 0.0]), np.array([40.0, 0.0]), right=2, wrong=2)
    assert shares[1] == pytest.approx(mean)
    assert shrink_shares(np.zeros(2), np.zeros(2), right=1, wrong=3)[0].tolist() == [0.25, 0.25]


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0, 1)), min_size=1, max_size=8))
def test_shares_lie_between_nothing_and_all(groups):
    tries = np.array([count for count, _ in groups])
    shares, mean = shrink_shares(tries * [share for _, share in groups], tries, right=1, wrong=1)
    assert ((shares > 0) & (shares < 1)).all()
    assert 0 < mean < 1
