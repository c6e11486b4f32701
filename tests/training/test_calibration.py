import numpy as np
import pytest

from training.calibration import (
    brier_score,
    calibration_floor,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
)
from training.scoring import softmax


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_the_answers_is_found(true_temperature):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4000, 5)) * 3
    chances = softmax(logits, true_temperature).astype(np.float64)
    chances /= chances.sum(axis=1, keepdims=True)
    targets = np.array([rng.choice(5, p=row) for row in chances])
    assert fit_temperature(logits, targets) == pytest.approx(true_temperature, rel=0.1)


def test_a_temperature_expected_near_one_takes_cases_to_be_elsewhere():
    rng = np.random.default_rng(0)

    def cases(count, temperature):
        logits = rng.normal(size=(count, 5)) * 3
        chances = softmax(logits, temperature).astype(np.float64)
        return logits, np.array([rng.choice(5, p=row / row.sum()) for row in chances])

    few, many = cases(300, 1.1), cases(3000, 2.0)
    assert fit_temperature(*few) == pytest.approx(1.1, abs=0.08)
    assert abs(fit_temperature(*few) - 1) > 0.03
    assert fit_temperature(*few, spread=0.01) == pytest.approx(1, abs=0.01)
    assert fit_temperature(*many, spread=0.01) == pytest.approx(fit_temperature(*many), rel=0.01)


def test_certain_and_right_answers_stay_within_the_bounds():
    assert fit_temperature(np.eye(3), np.arange(3)) == pytest.approx(0.2, rel=0.01)
    assert fit_temperature(np.eye(3), np.array([1, 2, 0])) == pytest.approx(10, rel=0.01)


def test_the_loss_of_even_odds_is_log_two():
    assert negative_log_likelihood(np.zeros((3, 2)), np.array([0, 1, 0])) == pytest.approx(np.log(2))


def test_the_calibration_error_is_the_gap():
    confidences = np.array([0.9] * 10 + [0.6] * 10)
    correct = np.array([True] * 9 + [False] + [True] * 2 + [False] * 8)
    assert expected_calibration_error(confidences, correct) == pytest.approx(0.2)
    assert expected_calibration_error(np.array([1.0, 1.0]), np.array([True, True])) == 0.0


def test_the_brier_score_is_zero_for_the_truth_and_two_for_its_contrary():
    sure = np.eye(3, dtype=np.float32)
    assert brier_score(sure, np.arange(3)) == pytest.approx(0)
    assert brier_score(sure, np.array([1, 2, 0])) == pytest.approx(2)
    assert brier_score(np.full((4, 2), 0.5), np.array([0, 1, 1, 0])) == pytest.approx(0.5)


def test_the_floor_is_what_a_calibrated_model_shows_and_shrinks_with_the_cases():
    rng = np.random.default_rng(0)
    confidences = rng.uniform(0.5, 1, size=3000)
    floor = calibration_floor(confidences, rng=rng, simulations=200)
    errors = [expected_calibration_error(confidences, rng.random(3000) < confidences) for _ in range(200)]
    assert floor == pytest.approx(np.mean(errors), rel=0.1)
    assert calibration_floor(confidences[:300], rng=rng, simulations=200) > 2 * floor
    assert floor < expected_calibration_error(confidences, rng.random(3000) < confidences - 0.1) / 3


def test_certain_answers_have_no_floor():
    assert calibration_floor(np.ones(50), rng=np.random.default_rng(0), simulations=5) == 0.0
