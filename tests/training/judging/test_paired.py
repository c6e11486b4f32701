import numpy as np
import pytest
from scipy.stats import fisher_exact
from sklearn.metrics import roc_auc_score

from training.judging.paired import (
    cases_to_show,
    compare_detection,
    compare_failures,
    deal_losses,
    difference_interval,
    exclude_loss,
    holm,
    mcnemar,
    power_to_show,
    resample_mean,
    smallest_shown,
)


def test_mcnemar_is_exact_for_single_numbers_and_for_many():
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(0, 7) == 1.0
    assert mcnemar(5, 0) == pytest.approx(1 / 32)
    assert mcnemar(8, 2) == pytest.approx((1 + 10 + 45) / 1024)
    assert mcnemar([5, 8, 0], [0, 2, 3]) == pytest.approx([1 / 32, 56 / 1024, 1])


def test_the_interval_of_a_difference_is_tangos():
    assert difference_interval(12, 2, 50, confidence=0.95) == pytest.approx((0.0611, 0.3447), abs=1e-4)
    reach = 1.959964**2 / (50 + 1.959964**2)
    assert difference_interval(0, 0, 50, confidence=0.95) == pytest.approx((-reach, reach), abs=1e-4)
    low, high = difference_interval(30, 0, 30, confidence=0.95)
    assert 0.75 < low < 0.9
    assert high == 1
    assert difference_interval(0, 0, 0, confidence=0.95) == (-1, 1)


def test_a_loss_is_excluded_where_the_interval_does():
    for wins, losses, cases in ((20, 30, 900), (0, 0, 400), (40, 44, 5000)):
        low, _ = difference_interval(wins, losses, cases, confidence=0.9)
        for margin in (0.99 * -low, 1.01 * -low):
            assert (exclude_loss(wins, losses, cases, margin=margin) <= 0.05) == (margin > -low)
    assert exclude_loss(0, 0, 0, margin=0.1) == 1


def test_power_is_what_simulation_finds():
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(60, [0.25, 0.05, 0.7], size=20_000)
    found = (mcnemar(drawn[:, 0], drawn[:, 1]) <= 0.01).mean()
    assert power_to_show(60, 0.2, 0.05, 0.01) == pytest.approx(found, abs=0.01)
    assert power_to_show(0, 0.5, 0.0, 0.05) == power_to_show(10, 0.0, 0.0, 0.05) == 0.0


def test_the_smallest_difference_and_the_cases_it_takes_fit_the_power():
    smallest = smallest_shown(40, 0.02, 0.001, 0.8)
    assert smallest is not None
    assert power_to_show(40, smallest, 0.02, 0.001) >= 0.8 > power_to_show(40, smallest - 0.005, 0.02, 0.001)
    assert smallest_shown(5, 0.02, 0.001, 0.8) is None
    cases = cases_to_show(0.5, 0.02, 0.001, 0.8)
    assert power_to_show(cases, 0.5, 0.02, 0.001) >= 0.8 > power_to_show(cases - 1, 0.5, 0.02, 0.001)
    assert cases_to_show(0.001, 0.499, 1e-6, 0.99) == 1_000_000


def test_holm_stops_at_the_first_that_stands():
    assert holm([0.03, 0.01, 0.9], 0.05).tolist() == [False, True, False]
    assert holm([0.016, 0.02, 0.04], 0.05).tolist() == [True, True, True]
    assert holm([0.02, 0.02, 0.02], 0.05).tolist() == [False, False, False]
    assert holm([], 0.05).tolist() == []


def test_the_bootstrap_shows_a_mean_above_zero_and_nothing_where_there_is_none():
    rng = np.random.default_rng(0)
    assert resample_mean(rng.normal(0.3, 1, 400), rng=rng) < 0.005
    assert resample_mean(rng.normal(-0.1, 1, 400), rng=rng) > 0.3
    assert resample_mean(np.zeros(10), rng=rng) == 1
    assert resample_mean(np.array([]), rng=rng) == 1
    alarms = [resample_mean(rng.normal(0, 1, 80), rng=rng) <= 0.05 for _ in range(400)]
    assert 0.02 < np.mean(alarms) < 0.09


def test_detection_is_compared_on_the_same_cases():
    rng = np.random.default_rng(0)
    outside = np.arange(400) < 60
    good = rng.normal(size=400) + 2 * outside
    poor = rng.normal(size=400) + 0.5 * outside
    was, now, p = compare_detection(good, poor, outside)
    assert was == pytest.approx(roc_auc_score(outside, good))
    assert now == pytest.approx(roc_auc_score(outside, poor))
    assert p < 1e-4
    assert compare_detection(poor, good, outside)[2] > 0.99
    assert compare_detection(good, good, outside)[2] == 1
    alarms = []
    for _ in range(300):
        base = rng.normal(size=200) + 1.5 * (np.arange(200) < 20)
        noisy = [base + rng.normal(0, 0.5, 200) for _ in range(2)]
        alarms.append(compare_detection(*noisy, np.arange(200) < 20)[2] <= 0.05)
    assert 0.02 < np.mean(alarms) < 0.1


def test_losses_dealt_to_a_group_are_what_shuffling_finds():
    rng = np.random.default_rng(0)
    values = np.array([-1] * 12 + [1] * 10 + [0] * 178)
    dealt = np.array([rng.permutation(values)[:40].sum() for _ in range(20_000)])
    assert deal_losses(6, 1, 40, of=(12, 10, 200)) == pytest.approx((dealt <= -5).mean(), abs=0.01)
    assert deal_losses(0, 0, 40, of=(0, 0, 200)) == 1


def test_failures_are_compared_by_fishers_test():
    expected = fisher_exact([[20, 80], [8, 92]], alternative="greater").pvalue
    assert compare_failures(20, 8, 100) == pytest.approx(expected)
    assert compare_failures(0, 0, 0) == 1
