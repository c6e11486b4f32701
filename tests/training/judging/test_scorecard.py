import json
import math

import numpy as np
import pytest

from training.judging.scorecard import score_answers
from training.scoring import Scores

SCORES = Scores(
    ("a", "b", "c"),
    np.array([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.5, 0.3, 0.2]], dtype=np.float32),
)


def test_the_card_counts_by_hand():
    card = score_answers(["a", "b", "b", "a"], SCORES)
    assert (card.cases, card.accuracy, card.unknown) == (4, 0.75, 0)
    assert (card.accuracy_low, card.accuracy_high) == pytest.approx((0.3006, 0.9544), abs=1e-4)
    assert card.labels["a"].recall == 1.0
    assert card.labels["a"].precision == pytest.approx(2 / 3)
    assert (card.labels["b"].support, card.labels["b"].recall, card.labels["b"].precision) == (2, 0.5, 1.0)
    assert card.macro_f1 == pytest.approx((0.8 + 2 / 3) / 2)
    assert card.loss == pytest.approx(-np.log([0.8, 0.3, 0.7, 0.5]).mean(), rel=1e-5)
    # each answer is alone in its bin: confidence .8, .6, .7, .5 against right, wrong, right, right
    assert card.calibration_error == pytest.approx((0.2 + 0.6 + 0.3 + 0.5) / 4, abs=1e-6)


def test_a_label_that_the_model_lacks_counts_as_wrong():
    card = score_answers(["a", "new", "b", "new"], SCORES)
    assert (card.accuracy, card.unknown) == (0.5, 2)
    assert card.labels["new"].recall == 0.0
    assert card.labels["new"].precision is None
    assert card.loss == pytest.approx(-(math.log(0.8) + math.log(0.7)) / 2, rel=1e-5)
    assert score_answers(["new"] * 4, SCORES).loss is None


def test_the_card_is_json_and_its_metrics_are_numbers():
    card = score_answers(["a", "new", "b", "new"], SCORES)
    assert json.loads(card.to_json())["labels"]["new"]["precision"] is None
    metrics = card.metrics()
    assert metrics["accuracy"] == 0.5
    assert all(isinstance(value, float) for value in metrics.values())
    assert "loss" not in score_answers(["new"] * 4, SCORES).metrics()


def test_truth_must_match_the_scores():
    with pytest.raises(ValueError, match="one truth a score, found 1 and 4"):
        score_answers(["a"], SCORES)
