import numpy as np
import pytest

from training.judging.prediction_powered import shift_mean


def drawn(rng, *, read=200, unread=2000, noise=0.5):
    predicted = rng.normal(0.7, 1, read + unread)
    found = predicted + rng.normal(0.3, noise, read + unread)
    return found, predicted, read


def told(found, predicted, read):
    ones = np.ones(len(found))
    return shift_mean(found[:read], predicted[:read], predicted[read:], weights=ones[:read], sizes=ones[read:])


def test_the_error_is_that_of_what_predictions_leave_open():
    found, predicted, read = drawn(np.random.default_rng(0))
    mean, error = told(found, predicted, read)
    assert error == pytest.approx(0.5 / read**0.5, rel=0.15)
    assert abs(mean - found.mean()) < 3 * error


def test_predictions_that_tell_nothing_leave_the_mean_of_what_was_read():
    found, predicted, read = drawn(np.random.default_rng(1))
    mean, error = told(found, np.full_like(predicted, 0.5) + 1e-9 * predicted[::-1], read)
    assert mean == pytest.approx(found[:read].mean(), abs=0.02)
    assert error == pytest.approx(found[:read].std() / read**0.5, rel=0.02)


def test_units_count_by_their_weight():
    known, weights = np.array([0.0, 1.0] * 50), np.array([1.0, 3.0] * 50)
    flat = np.zeros(100) + np.linspace(0, 1e-6, 100)
    mean, _ = shift_mean(known, flat, flat, weights=weights, sizes=np.ones(100))
    assert mean == pytest.approx(0.75, abs=1e-3)


def test_the_interval_covers_the_mean_of_the_units_as_often_as_it_says():
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(400):
        found, predicted, read = drawn(rng, unread=1000)
        mean, error = told(found, predicted, read)
        held += abs(mean - found.mean()) <= 1.96 * error
    assert 0.93 <= held / 400 <= 0.99
