import numpy as np
import pytest

from labeling.selection.novelty import find_far, measure_novelty, measure_rejection, usual_novelty
from tests.labeling.selection.pools import directions


def test_novelty_is_the_distance_to_the_nearest_label():
    features = np.eye(3, dtype=np.float32)
    assert measure_novelty(features, features[:1]) == pytest.approx([0, 1, 1])
    assert np.isnan(measure_novelty(features, features[:0])).all()
    assert measure_novelty(features[:0], features).shape == (0,)


def test_the_farthest_rows_are_those_that_no_label_s_mean_is_near_to():
    features = np.eye(4, dtype=np.float32)
    labelled = np.concatenate([features[:2], features[:1]])
    assert set(find_far(features, np.arange(4), labelled, np.array([0, 1, 0]), 2)) == {2, 3}
    assert set(find_far(features, np.array([0, 3]), labelled, np.array([0, 1, 0]), 9)) == {0, 3}
    assert find_far(features, np.arange(0), labelled, np.array([0, 1, 0]), 2).tolist() == []


def test_rejection_is_whole_at_a_rejected_text_and_none_far_from_all_of_them():
    labelled = np.eye(4, dtype=np.float32)
    found = measure_rejection(
        np.concatenate([labelled, labelled[:1] + labelled[1:2]]), labelled, np.array([-1, 0, 1, 2])
    )
    assert found[0] > 0.99
    assert found[1:4] == pytest.approx([0, 0, 0], abs=1e-4)
    assert 0.4 < found[4] < 0.6


def test_without_rejected_texts_nothing_looks_rejected():
    features = directions(5, np.random.default_rng(0))
    assert measure_rejection(features, features, np.arange(5)).tolist() == [0] * 5
    assert measure_rejection(features, features[:0], np.arange(0)).tolist() == [0] * 5
    assert measure_rejection(features[:0], features, -np.ones(5)).shape == (0,)


def test_the_usual_novelty_leaves_a_text_itself_out():
    angles = np.deg2rad([0, 10, 20, 30, 90])
    labelled = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    near, far = 1 - np.cos(np.deg2rad(10)), 1 - np.cos(np.deg2rad(60))
    assert usual_novelty(labelled, 0.5) == pytest.approx(near, abs=1e-6)
    assert usual_novelty(labelled, 0.999) == pytest.approx(far, rel=0.01)
