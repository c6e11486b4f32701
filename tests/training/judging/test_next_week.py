import json
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from training.judging.next_week import NextWeek, forecast_week

SINCE = datetime(2026, 10, 5, tzinfo=UTC)


def answered(count, rng, *, weeks=4, error=0.1, line=0.6, boast=0.0):
    """Return messages that two models answer alike: confidences too high by ``boast``, handed over below ``line``."""
    chance = rng.beta(9 * (1 - error), 9 * error, count)
    wrong = rng.random(count) > chance
    confidence = np.minimum(1.0, chance + boast)
    at = pl.Series([SINCE + timedelta(seconds=float(one)) for one in rng.random(count) * weeks * 7 * 86400])
    frame = pl.DataFrame({"occurred_at": at, "truth": ["a"] * count})
    for who in ("champion", "challenger"):
        frame = frame.with_columns(
            pl.Series(who, np.where(wrong, "b", "a")),
            pl.Series(f"{who}_confidence", confidence),
            pl.Series(f"{who}_handoff", confidence < line),
        )
    return frame


def truly_wrong(week):
    return week.filter(~pl.col("challenger_handoff"), pl.col("challenger") != pl.col("truth")).height


@pytest.mark.parametrize("boast", [0.0, 0.1])
def test_the_intervals_hold_what_the_next_week_brings(boast):
    """Also where confidences are ten points too high: the test cases put that right."""
    held = {"errors": 0, "handoffs": 0}
    for seed in range(25):
        rng = np.random.default_rng(seed)
        found = forecast_week(answered(4000, rng, boast=boast), answered(400, rng, boast=boast), who=["challenger"])
        week = answered(int(rng.poisson(1000)), rng, weeks=1, boast=boast)
        errors, handoffs = found.errors["challenger"], found.handoffs["challenger"]
        held["errors"] += errors[1] <= truly_wrong(week) <= errors[2]
        held["handoffs"] += handoffs[1] <= week["challenger_handoff"].sum() <= handoffs[2]
    assert held["errors"] >= 21
    assert held["handoffs"] >= 21


def test_the_counts_are_those_of_a_mean_week():
    rng = np.random.default_rng(0)
    traffic, test = answered(2000, rng), answered(300, rng)
    found = forecast_week(traffic, test, who=["champion", "challenger"], labels_to_decide=120)
    assert found.messages == pytest.approx(500, abs=15)
    assert found.handoffs["champion"] == found.handoffs["challenger"]
    assert found.handoffs["champion"][0] == pytest.approx(found.messages * traffic["champion_handoff"].mean())
    assert NextWeek.from_document(json.loads(json.dumps(found.to_document()))) == found


def test_few_test_cases_say_nothing_of_errors():
    rng = np.random.default_rng(0)
    found = forecast_week(answered(500, rng), answered(29, rng), who=["champion"])
    assert found.errors == {}
    assert found.handoffs["champion"][0] > 0


def test_without_traffic_there_is_no_forecast():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="found none"):
        forecast_week(answered(5, rng).clear(), answered(50, rng), who=["champion"])


@pytest.mark.parametrize("line", [0.0, 1.1])
def test_a_model_that_hands_over_everything_errs_nowhere_and_one_as_sure_of_all_has_the_tests_share(line):
    rng = np.random.default_rng(0)
    traffic, test = answered(500, rng, line=line), answered(100, rng, line=line)
    if not line:
        traffic, test = (frame.with_columns(challenger_confidence=pl.lit(0.9)) for frame in (traffic, test))
    found = forecast_week(traffic, test, who=["challenger"])
    share = 0.0 if line else truly_wrong(test) / test.height
    assert found.errors["challenger"][0] == pytest.approx(found.messages * share)
    assert np.isfinite(found.errors["challenger"]).all()
