import json
from dataclasses import asdict

import numpy as np
import pytest

from tests.training.judging.sample_case import sample_answers
from training.judging.curves import MOST_POINTS, Curves, draw_curves, measure_reliability, measure_risk


def test_risk_is_the_share_that_is_wrong_among_the_surest():
    coverage, risk = measure_risk(np.array([0.2, 0.9, 0.5, 0.7]), np.array([False, True, True, False]))
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk == pytest.approx([0, 1 / 2, 1 / 3, 2 / 4])


def test_answers_of_one_confidence_come_in_no_order():
    one = measure_risk(np.full(4, 0.5), np.array([False, True, True, True]))[1]
    other = measure_risk(np.full(4, 0.5), np.array([True, True, True, False]))[1]
    assert one.tolist() == other.tolist() == [0.25] * 4


def test_bins_without_answers_are_left_out():
    bins = measure_reliability(np.array([0.91, 0.99, 0.12, 1.0]), np.array([True, False, False, True]), bins=10)
    assert [count for *_, count in bins] == [1, 3]
    assert bins[1][:2] == pytest.approx((2.9 / 3, 2 / 3))


def test_curves_are_few_points_and_read_back():
    drawn = draw_curves(sample_answers(1000, rng=np.random.default_rng(0)), "challenger")
    assert len(drawn.risk_coverage) == MOST_POINTS
    assert drawn.risk_coverage[-1][0] == 1.0
    assert sum(count for *_, count in drawn.reliability) == 1000
    assert Curves.from_document(json.loads(json.dumps(asdict(drawn)))) == drawn
