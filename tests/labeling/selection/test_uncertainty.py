import numpy as np
import polars as pl
import pytest

from labeling.selection.novelty import measure_novelty
from labeling.selection.uncertainty import measure_entropy, measure_margin, read_doubt


def test_margin_and_entropy_of_a_tie_and_of_certainty():
    probabilities = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.2, 0.7, 0.1], [1 / 3, 1 / 3, 1 / 3]])
    assert measure_margin(probabilities) == pytest.approx([0, 1, 0.5, 0])
    entropy = measure_entropy(probabilities)
    assert entropy[[1, 3]] == pytest.approx([0, 1])
    assert entropy[1] < entropy[2] < entropy[3]


def test_doubt_is_whole_where_no_model_has_spoken():
    assert read_doubt(pl.DataFrame({"margin": [0.25, None]})).tolist() == [0.75, 1.0]


def test_novelty_is_the_distance_to_the_nearest_label():
    features = np.eye(3, dtype=np.float32)
    assert measure_novelty(features, features[:1]) == pytest.approx([0, 1, 1])
    assert np.isnan(measure_novelty(features, features[:0])).all()
    assert measure_novelty(features[:0], features).shape == (0,)
