import numpy as np
import pytest

from serving.sentiment_path import SentimentPath, TurnSentiment, measure_fall, measure_strain, measure_trend


def test_the_trend_is_the_slope_of_a_straight_line():
    assert measure_trend(np.array([0.5, 0.25, 0.0])) == pytest.approx(-0.25)
    assert measure_trend(np.array([-1.0, 1.0, 0.0, 0.0])) == pytest.approx(np.polyfit(range(4), [-1, 1, 0, 0], 1)[0])
    assert measure_trend(np.array([0.7])) == measure_trend(np.array([])) == 0


def test_a_fall_is_from_the_best_turn_before_and_never_a_rise():
    assert measure_fall(np.array([0.2, 0.9, 0.0, -0.5])) == pytest.approx(1.4)
    assert measure_fall(np.array([-0.5, 0.5])) == measure_fall(np.array([0.5])) == 0


def test_strain_grows_with_a_sad_turn_and_with_a_fall_to_it():
    at = [measure_strain(np.array(scores)) for scores in ([], [1.0], [-0.5], [0.5, -0.5], [1.0, -1.0])]
    assert at == sorted(at)
    assert (at[0], at[-1]) == (-1, 3)


def test_a_path_names_its_lowest_point():
    path = SentimentPath.of([TurnSentiment("neutral", 0.1), TurnSentiment("negative", -0.8)], alarm=True)
    assert (path.low, path.alarm) == (-0.8, True)
    assert path.trend == pytest.approx(-0.9)
    assert SentimentPath.of([], alarm=False).low is None
