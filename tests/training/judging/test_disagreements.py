from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from training.judging.disagreements import (
    DisagreementSample,
    count_answers,
    draw_sample,
    estimate_difference,
    find_disagreements,
    is_settled,
    plan_sample,
)

NOW = datetime(2026, 3, 9, tzinfo=UTC)


def fresh(*rows):
    return pl.DataFrame(
        [(name, NOW + timedelta(hours=hours), challenger, champion) for name, hours, challenger, champion in rows],
        schema=["interaction_id", "occurred_at", "challenger", "champion"],
        orient="row",
    )


def test_only_what_occurred_after_both_cut_offs_is_fresh():
    rows = fresh(("b", 3, "x", "y"), ("a", 3, "y", "x"), ("c", 3, "x", "x"), ("d", 2, "x", "y"), ("e", 3, "x", None))
    found, count = find_disagreements(rows, cut_offs=[NOW, NOW + timedelta(hours=2)])
    assert found["interaction_id"].to_list() == ["a", "b"]
    assert count == 3


def test_the_sample_is_uniform_and_the_same_for_the_same_chance():
    rows = fresh(*((f"{row:03d}", 1, "x", "y") for row in range(40)))
    drawn = [draw_sample(rows, size=10, rng=np.random.default_rng(seed)) for seed in range(100)]
    assert all(sample["interaction_id"].n_unique() == 10 for sample in drawn)
    counts = pl.concat(drawn)["interaction_id"].value_counts()["count"]
    assert counts.len() == 40
    assert counts.min() > 10
    assert drawn[3].equals(draw_sample(rows, size=10, rng=np.random.default_rng(3)))
    assert draw_sample(rows, size=40, rng=np.random.default_rng(0)).equals(rows)


def test_a_planned_sample_shows_the_gain_as_often_as_planned():
    size = plan_sample(8000, 320, alpha=0.02, gain=0.01, power=0.9)
    assert size is not None
    rng = np.random.default_rng(0)
    wins = rng.binomial(size, 0.625, size=2000)
    shown = [
        estimate_difference(DisagreementSample(8000, 320, size, int(won), size - int(won))).p_better <= 0.02
        for won in wins[:300]
    ]
    assert np.mean(shown) > 0.85
    assert plan_sample(8000, 100, alpha=0.02, gain=0.01, power=0.9) == 15
    assert plan_sample(8000, 79, alpha=0.02, gain=0.01, power=0.9) is None
    assert plan_sample(0, 0, alpha=0.02, gain=0.01, power=0.9) is None


def test_people_may_say_both_or_neither_or_nothing():
    said = pl.DataFrame(
        {
            "challenger": ["x"] * 7,
            "champion": ["y"] * 7,
            "truth": ["x", "y", "y", "z", None, "cannot_tell", "none_of_these"],
            "second": [None, None, "x", None, None, None, None],
        }
    )
    found = count_answers(said, fresh=100, differing=10)
    assert found == DisagreementSample(100, 10, 7, challenger=1, champion=1, both=1, neither=2, unsure=1)
    assert found.answered == 5
    assert found.missing_share == pytest.approx(2 / 7)
    unknown = count_answers(said, fresh=100, differing=10, new_labels=["x"])
    assert (unknown.challenger, unknown.neither) == (0, 3)


def test_the_difference_is_the_share_times_the_mean_and_its_interval_holds_it():
    found = estimate_difference(DisagreementSample(5000, 200, 100, 50, 25, 5, 20))
    assert found.value == pytest.approx(0.04 * 0.25)
    assert found.low < found.value < found.high
    assert found.p_better == pytest.approx(0.0027, abs=5e-4)
    rng = np.random.default_rng(0)
    held = []
    for _ in range(300):
        differing = int(rng.binomial(400, 0.1))
        won, lost, other = rng.multinomial(differing, [0.5, 0.3, 0.2])
        one = estimate_difference(DisagreementSample(400, differing, differing, int(won), int(lost), 0, int(other)))
        held.append(one.low <= 0.02 <= one.high)
    assert np.mean(held) >= 0.93


def test_a_sample_that_tells_nothing_says_so():
    nothing = estimate_difference(DisagreementSample(0, 0, 0))
    assert (nothing.value, nothing.low, nothing.high, nothing.p_better) == (0, -1, 1, 1)
    unread = estimate_difference(DisagreementSample(1000, 50, 20))
    assert (unread.value, unread.p_better) == (0, 1)
    assert -0.08 < unread.low < -0.05 < 0.05 < unread.high < 0.08


def test_a_sample_is_settled_once_few_answers_are_missing():
    assert not is_settled(DisagreementSample(100, 20, 10, 7), most_missing=0.2)
    assert is_settled(DisagreementSample(100, 20, 10, 8), most_missing=0.2)
    assert not is_settled(DisagreementSample(100, 20, 0), most_missing=0.2)
