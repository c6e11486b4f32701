"""Labels to a level, ratios with intervals, and the worst gap, read off learning curves."""

import numpy as np
import pytest

from training.learning_curve import (
    Curve,
    find_worst_gap,
    labels_at_least,
    labels_to,
    mean_with_interval,
    ratio_with_interval,
)


def curve(*accuracies: float, full: float = 1.0) -> Curve:
    return Curve(tuple(range(10, 10 * len(accuracies) + 1, 10)), accuracies, full, 100)


def test_labels_to_a_level_lie_on_the_line_between_two_budgets() -> None:
    assert labels_to(curve(0.5, 0.8, 1.0), 0.9) == pytest.approx(25)
    assert labels_to(curve(0.25, 0.4, 0.5, full=0.5), 0.9) == pytest.approx(25)


def test_a_curve_that_dips_again_counts_from_where_it_stays() -> None:
    assert labels_to(curve(0.95, 0.8, 1.0), 0.9) == pytest.approx(25)


def test_a_curve_that_starts_above_needs_its_first_budget() -> None:
    assert labels_to(curve(0.95, 0.97), 0.9) == 10


def test_a_curve_that_never_stays_there_needs_its_last_budget_at_least() -> None:
    assert labels_to(curve(0.5, 0.95, 0.8), 0.9) is None
    assert labels_at_least(curve(0.5, 0.95, 0.8), 0.9) == 30


def test_a_ratio_is_of_means_and_its_interval_keeps_the_pairs() -> None:
    base = [100.0, 200.0, 300.0]
    paired = ratio_with_interval([50.0, 100.0, 150.0], base)
    assert (paired.value, paired.low, paired.high) == (0.5, 0.5, 0.5)
    crossed = ratio_with_interval([150.0, 100.0, 50.0], base)
    assert crossed.value == 0.5
    assert crossed.low is not None
    assert crossed.low < 0.5


def test_one_seed_has_no_interval() -> None:
    assert mean_with_interval([3.0]).low is None


def test_an_interval_of_the_mean_covers_it_in_nineteen_of_twenty_runs() -> None:
    rng = np.random.default_rng(0)
    found = [mean_with_interval(rng.normal(size=4).tolist()) for _ in range(1000)]
    assert 0.93 < np.mean([each.low <= 0 <= each.high for each in found]) < 0.97


def test_the_worst_gap_is_of_means_over_seeds_at_shared_budgets() -> None:
    curves, base = [curve(0.5, 0.6), curve(0.7, 0.8, 0.9)], [curve(0.5, 0.8), curve(0.6, 0.8)]
    gap = find_worst_gap(curves, base, least=10)
    assert (gap.points, gap.budget) == (pytest.approx(-10), 20)


def test_the_worst_gap_leaves_out_budgets_of_hardly_any_label() -> None:
    curves, base = [curve(0.1, 0.6)], [curve(0.5, 0.5)]
    assert find_worst_gap(curves, base, least=1).budget == 10
    assert find_worst_gap(curves, base, least=11).budget == 20
    assert find_worst_gap(curves, base, least=99).budget == 20
