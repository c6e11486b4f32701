import numpy as np
import pytest
from scipy.stats import binom

from serving.handoff import promise
from serving.handoff.config import Band
from serving.handoff.promise import GRID, bound_error, describe, find_thresholds, in_band, is_shown

NO_BAND = Band(width=0.0, flip=0.1)


def make(scores, wrong, *, eligible=None, chances=None):
    count = len(scores)
    return promise.Tested(
        np.asarray(scores, dtype=float),
        np.asarray(wrong, dtype=bool),
        np.ones(count, dtype=bool) if eligible is None else eligible,
        np.ones(count) if chances is None else chances,
    )


def find(cases, *, promised=0.2, confidence=0.9, min_cases=30, band=NO_BAND):
    return find_thresholds(cases, promised=promised, confidence=confidence, min_cases=min_cases, band=band)


def test_the_bound_is_clopper_and_pearson_s():
    assert bound_error(0, 29, 0.95) == pytest.approx(1 - 0.05 ** (1 / 29))
    assert bound_error(5, 100, 0.95) == pytest.approx(0.1022, abs=1e-4)  # published tables
    assert bound_error(3, 3, 0.95) == 1.0


def test_the_test_is_the_exact_binomial_one_and_agrees_with_the_bound():
    for wrong in range(12):
        shown = is_shown(wrong, 60, 0.2, 0.9)
        assert shown == (binom.cdf(wrong, 60, 0.2) <= 0.1) == (bound_error(wrong, 60, 0.9) <= 0.2)


def test_the_laxest_threshold_that_keeps_the_promise_is_found():
    scores = np.repeat([0.05, 0.15, 0.25, 0.35], 50)
    wrong = np.concatenate([np.arange(50) < many for many in (0, 2, 4, 40)])
    cases = make(scores, wrong)
    laxest = find(cases)[-1]
    assert 0.25 < laxest < 0.35
    fitted = describe(cases, laxest, laxest, 0.9)
    assert (fitted.kept, fitted.wrong, fitted.cases) == (150, 6, 200)
    assert fitted.error_bound == bound_error(6, 150, 0.9)


def test_the_search_ends_at_the_first_failure_even_if_a_laxer_one_looks_good():
    scores, wrong = np.repeat([0.05, 0.15, 0.25], [40, 40, 4000]), np.repeat([0, 1, 0], [40, 40, 4000])
    assert find(make(scores, wrong))[-1] < 0.15


def test_what_a_rule_hands_off_is_not_kept_and_not_counted():
    scores, wrong = np.repeat([0.05, 0.15], [60, 60]), np.repeat([0, 1], [60, 60])
    assert find(make(scores, wrong, eligible=wrong == 0))[-1] == GRID[-1]
    assert find(make(scores, wrong, eligible=np.zeros(120, dtype=bool))) == ()


@pytest.mark.parametrize("count", [0, 1, 10])
def test_too_few_cases_keep_nothing(count):
    assert find(make(np.zeros(count), np.zeros(count)), min_cases=1) == ()


def test_the_least_kept_count_is_where_the_search_begins():
    cases = make(np.linspace(0.001, 0.9, 200), np.zeros(200))
    starts = [find(cases, min_cases=least)[0] for least in (1, 50, 150)]
    assert starts == sorted(set(starts))
    assert find(cases, min_cases=201) == ()


def test_one_wrong_label_does_not_end_the_search_at_its_start():
    scores, wrong = np.linspace(0.001, 0.9, 400), np.zeros(400)
    wrong[3] = 1
    assert find(make(scores, wrong), promised=0.05)[-1] == GRID[-1]
    assert promise.least_kept(400, promised=0.05, confidence=0.9, min_cases=1) == 132
    assert binom.cdf(3, 132, 0.05) <= 0.1 < binom.cdf(3, 131, 0.05)
    assert promise.least_kept(100, promised=0.05, confidence=0.9, min_cases=1) == 50
    assert promise.least_kept(50, promised=0.05, confidence=0.9, min_cases=1) == 45


def test_in_the_band_chance_is_tested_too():
    """Beyond the threshold most are wrong, so that keeping some of them by chance breaks the promise first."""
    rng = np.random.default_rng(4)
    scores = np.concatenate([np.full(60, 0.05), rng.uniform(0.1, 0.5, 300)])
    wrong = scores > 0.3
    plain, wide = (
        find(make(scores, wrong, chances=rng.random(360)), band=band)[-1]
        for band in (NO_BAND, Band(width=0.9, flip=0.5))
    )
    assert wide < plain
    assert in_band(np.array([0.17, 0.19, 0.21, 0.23]), 0.2, Band(width=0.1, flip=0.5)).tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 2.0])
def test_the_promise_is_kept_as_often_as_said(sharpness):
    """The true share of wrong answers among those kept is above the promise in at most a tenth of 300 fits."""
    rng, broken = np.random.default_rng(11), 0
    true = np.linspace(0, 0.8, 8001)
    for _ in range(300):
        scores = rng.uniform(0, 0.8, 300)
        found = find(make(scores, rng.random(300) < scores**sharpness))
        if found:
            broken += (true[true <= found[-1]] ** sharpness).mean() > 0.2
    assert broken <= 30 + 2 * np.sqrt(300 * 0.1 * 0.9)
