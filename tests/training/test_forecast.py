"""A learning curve carried on: its interval holds the truth, and where little is known nothing is said."""

import numpy as np
import pytest

from tests.training.blobs import make_blobs
from training.forecast import (
    MIN_LABELS,
    CurvePoint,
    forecast_gain,
    forecast_minutes,
    measure_curve,
    plan_sizes,
)

LAWS = ((2.0, 0.35, 0.05), (1.5, 0.5, 0.1), (0.9, 0.2, 0.0), (3.0, 0.7, 0.2))


def error(law, labels):
    return law[0] * labels ** -law[1] + law[2]


def noisy_points(law, rng, *, dev_rows=300, subsets=3, noise=0.008):
    shift = rng.normal() * np.sqrt(0.16 / dev_rows)
    return [
        CurvePoint(labels, float(np.clip(1 - error(law, labels) - shift - noise * rng.normal(), 0, 1)), seed)
        for seed in range(subsets)
        for labels in plan_sizes(1000)
    ]


def forecast(points, *, now=1000, new=500, dev_rows=300, seed=0):
    return forecast_gain(points, now=now, new=new, dev_rows=dev_rows, rng=np.random.default_rng(seed))


@pytest.mark.parametrize("law", LAWS)
def test_nine_of_ten_intervals_hold_the_truth(law):
    held = []
    for seed in range(80):
        found = forecast(noisy_points(law, np.random.default_rng(seed)), seed=seed)
        accuracy, gain = 1 - error(law, 1500), error(law, 1000) - error(law, 1500)
        held.append((found.accuracy[1] <= accuracy <= found.accuracy[2], found.gain[1] <= gain <= found.gain[2]))
    assert (np.mean(held, axis=0) > 0.8).all()


def test_a_curve_without_noise_is_carried_on_exactly():
    law = LAWS[0]
    points = [CurvePoint(labels, 1 - error(law, labels), seed) for seed in (0, 1) for labels in plan_sizes(4000)]
    found = forecast(points, now=4000, new=4000, dev_rows=10**9)
    assert found.accuracy[0] == pytest.approx(1 - error(law, 8000), abs=1e-3)
    assert found.gain[0] == pytest.approx(error(law, 4000) - error(law, 8000), abs=1e-3)


def test_more_labels_never_promise_less_and_none_promise_nothing():
    points = noisy_points(LAWS[1], np.random.default_rng(3), noise=0.05)
    gains = [forecast(points, new=new).gain[0] for new in (0, 100, 1000, 100_000)]
    assert gains == sorted(gains)
    assert gains[0] == 0
    assert forecast(points, new=100_000).accuracy[2] <= 1


def test_a_small_dev_split_makes_the_interval_wide():
    points = noisy_points(LAWS[0], np.random.default_rng(1))
    small, large = (forecast(points, dev_rows=rows).accuracy for rows in (50, 5000))
    assert small[2] - small[1] > 2 * (large[2] - large[1])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"now": MIN_LABELS - 1}, "99 labels, 100 are needed"),
        ({"dev_rows": 10}, "10 labels in the development split"),
        ({"points": [CurvePoint(n, 0.5, seed) for n in (10, 20, 40) for seed in (0, 1)]}, "a curve of 3 sizes"),
        ({"points": [CurvePoint(n, 0.5, 0) for n in (10, 20, 40, 80)]}, "one subset"),
        ({"points": []}, "a curve of 0 sizes"),
    ],
)
def test_where_little_is_known_nothing_is_said(change, said):
    found = forecast(**{"points": noisy_points(LAWS[0], np.random.default_rng(0))} | change)
    assert found.accuracy is None
    assert found.gain is None
    assert found.why_not.startswith("too little to say")
    assert said in found.why_not


def test_a_curve_is_measured_and_rises():
    features, targets = make_blobs((120,) * 6, seed=0, spread=1.6)
    is_dev = np.arange(len(targets)) % 4 == 0
    points = measure_curve(features, targets, is_dev, seeds=(0, 1))
    means = {size: np.mean([p.accuracy for p in points if p.labels == size]) for size in plan_sizes(540)}
    assert {point.seed for point in points} == {0, 1}
    assert means[540] > means[min(means)] + 0.02
    assert points == measure_curve(features, targets, is_dev, seeds=(0, 1))
    assert forecast(points, now=540, new=540, dev_rows=180).gain is not None


def test_a_label_that_a_subset_lacks_counts_as_wrong():
    features, targets = make_blobs((60, 60), seed=1, spread=0.1)
    targets = np.concatenate([targets, [2, 2, 2, 2]])
    features = np.concatenate([features, -features[:4]])
    is_dev = np.zeros(len(targets), dtype=bool)
    is_dev[-4:] = True
    assert {point.accuracy for point in measure_curve(features, targets, is_dev, sizes=(100,))} == {0.0}


def test_a_group_enters_as_a_whole():
    """Ten copies of each text: a tenth of the labels is a tenth of the texts, not one copy of each."""
    features, targets = make_blobs((40,) * 5, seed=2, spread=2.0)
    copies, groups = np.repeat(np.arange(200), 10), np.repeat(np.arange(200), 10)
    is_dev = copies >= 120
    many, few = (
        measure_curve(features[copies], targets[copies], is_dev, groups=given, sizes=(120,), seeds=range(4))
        for given in (None, groups)
    )
    assert np.mean([point.accuracy for point in few]) < np.mean([point.accuracy for point in many]) - 0.05


def test_one_label_alone_or_no_dev_gives_no_points():
    features, targets = make_blobs((50, 50), seed=0)
    assert measure_curve(features, np.zeros(100, dtype=int), np.arange(100) < 20) == []
    assert measure_curve(features, targets, np.zeros(100, dtype=bool)) == []


def test_minutes_follow_from_earlier_runs_or_are_unknown():
    assert forecast_minutes(18_000, [100.0, 300.0, 200.0]) == (1.5, 1.0, 3.0)
    assert forecast_minutes(18_000, []) is None
    assert forecast_minutes(18_000, [0.0]) is None
