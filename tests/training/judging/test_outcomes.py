import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from labeling.tables import ESCALATIONS
from training.judging.outcomes import Outcomes, measure_outcomes

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def escalated(rows):
    return ESCALATIONS.frame([{"escalation_id": f"e{place}", "closed_at": NOW} | row for place, row in enumerate(rows)])


def predicted(**columns):
    rows = pl.DataFrame(columns)
    plain = {"label": "refund", "handoff": False, "shown": True}
    return rows.with_columns(pl.lit(value).alias(name) for name, value in plain.items() if name not in columns)


def names(count):
    return [f"m{place:02d}" for place in range(count)]


def test_missed_and_needless_handoffs_are_counted_whoever_was_live():
    needed = escalated([{"interaction_id": name, "needed": place < 20} for place, name in enumerate(names(32))])
    aside = [place % 2 == 0 for place in range(32)]
    found = measure_outcomes(needed, predicted(interaction_id=names(32), handoff=aside, shown=[False] * 32))
    assert (found.missed.cases, found.missed.value) == (20, 0.5)
    assert (found.missed.low, found.missed.high) == pytest.approx((0.2993, 0.7007), abs=1e-4)
    assert (found.for_nothing.cases, found.for_nothing.value) == (16, 6 / 16)
    assert found.first_contact is None
    assert found.csat == {}


def test_how_a_conversation_ended_counts_for_the_answer_that_was_shown():
    rows = [
        {"interaction_id": name, "first_contact": place < 9, "csat": 4 + place % 2}
        for place, name in enumerate(names(24))
    ]
    labels = ["refund"] * 10 + ["fee"] * 2 + ["refund"] * 12
    found = measure_outcomes(
        escalated(rows), predicted(interaction_id=names(24), label=labels, shown=[place < 12 for place in range(24)])
    )
    assert (found.first_contact.cases, found.first_contact.value) == (12, 9 / 12)
    assert set(found.csat) == {"refund"}  # two of a kind bear no mean
    mean = found.csat["refund"]
    assert (mean.cases, mean.value) == (10, 4.5)
    assert mean.high - mean.value == pytest.approx(2.262 * (10 / 4 / 9) ** 0.5 / 10**0.5, rel=1e-3)


def test_few_unknown_and_repeated_outcomes_claim_nothing():
    few = escalated([{"interaction_id": name, "needed": True} for name in names(9)])
    assert measure_outcomes(few, predicted(interaction_id=names(9))) == Outcomes(None, None, None, {})
    unknown = escalated([{"interaction_id": name} for name in names(30)])
    assert measure_outcomes(unknown, predicted(interaction_id=names(30))) == Outcomes(None, None, None, {})
    assert measure_outcomes(few, predicted(interaction_id=["other"])) is None
    earlier = [{"interaction_id": name, "needed": True, "closed_at": NOW - timedelta(days=1)} for name in names(12)]
    later = [{"interaction_id": name, "needed": False} for name in names(12)]
    assert measure_outcomes(escalated([*later, *earlier]), predicted(interaction_id=names(12))).missed is None


def test_outcomes_read_back():
    rows = [{"interaction_id": name, "needed": True, "csat": 3, "first_contact": True} for name in names(10)]
    found = measure_outcomes(escalated(rows), predicted(interaction_id=names(10)))
    assert Outcomes.from_document(json.loads(json.dumps(asdict(found)))) == found
