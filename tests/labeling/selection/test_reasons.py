from datetime import timedelta

import polars as pl
import pytest

from labeling import tables as t
from labeling.selection.disagreement import measure_disagreement
from labeling.selection.gate_requests import count_needed, match_requests
from labeling.selection.handoff import DISAPPOINTED, FOR_NOTHING, LATE, measure_handoff_failures
from tests.labeling.selection.pools import NOW


def said(name, label, confidence, *, version="2", task="intent"):
    return {
        "interaction_id": name,
        "task": task,
        "label": label,
        "confidence": confidence,
        "model_version": version,
    }


def corrected(name, label, *, task="intent"):
    return {"interaction_id": name, "task": task, "label": label}


def disputes(predictions, corrections=(), champion="2", previous="1") -> dict[str, float]:
    found = measure_disagreement(
        t.PREDICTIONS.frame(list(predictions)),
        t.CORRECTIONS.frame(list(corrections)),
        champion=champion,
        previous=previous,
    )
    return dict(found.iter_rows())


def test_a_correction_that_the_champion_does_not_share_counts_as_much_as_it_is_sure():
    predictions = [said("a", "refund", 0.9), said("b", "refund", 0.4), said("c", "refund", 0.7)]
    corrections = [corrected("a", "billing"), corrected("b", "billing"), corrected("c", "refund")]
    assert disputes(predictions, corrections) == {"a": 0.9, "b": 0.4}
    assert disputes(predictions, corrections, champion=None) == {}


def test_champion_and_previous_champion_dispute_as_much_as_the_less_sure_of_them():
    predictions = [said("a", "x", 0.9), said("a", "y", 0.6, version="1"), said("b", "x", 0.9)]
    same = [said("b", "x", 0.8, version="1"), said("c", "x", 0.9), said("c", "y", 0.9, version="1", task="other")]
    assert disputes([*predictions, *same]) == {"a": 0.6}
    assert disputes([*predictions, *same], previous=None) == {}


def test_the_strongest_dispute_of_an_interaction_counts():
    predictions = [said("a", "x", 0.9), said("a", "y", 0.6, version="1"), said("a", "sad", 0.3, task="mood")]
    assert disputes(predictions, [corrected("a", "z"), corrected("a", "calm", task="mood")]) == {"a": 0.9}


@pytest.mark.parametrize(
    ("outcome", "failure"),
    [
        ({"trigger": "customer", "needed": True}, LATE),
        ({"trigger": "agent", "needed": True, "csat": 1}, LATE),
        ({"trigger": "agent", "needed": True, "handled_by": "agent"}, None),
        ({"trigger": "customer", "needed": False, "csat": 2}, DISAPPOINTED),
        ({"trigger": "customer", "needed": None, "reopened": True}, DISAPPOINTED),
        ({"trigger": "customer", "needed": False, "csat": 3, "reopened": False}, None),
        ({"trigger": "handoff", "needed": False}, FOR_NOTHING),
        ({"trigger": "handoff", "needed": True, "csat": 1, "reopened": True}, None),
        ({"trigger": "handoff", "needed": None}, None),
        ({"trigger": "customer"}, None),
    ],
)
def test_how_an_escalation_ended_tells_how_the_handoff_failed(outcome, failure):
    handled = pl.DataFrame({"interaction_id": ["a"], "handled_by": [outcome.get("handled_by", "ai")]})
    row = {name: value for name, value in outcome.items() if name != "handled_by"}
    found = measure_handoff_failures(t.ESCALATIONS.frame([{"interaction_id": "a"} | row]), handled)
    assert found["handoff"].to_list() == ([failure] if failure else [])


def test_the_worst_failure_of_an_interaction_counts_and_an_escalation_of_none_is_passed_over():
    ended = t.ESCALATIONS.frame(
        [
            {"interaction_id": "a", "trigger": "handoff", "needed": False},
            {"interaction_id": "a", "trigger": "agent", "needed": True},
            {"interaction_id": None, "trigger": "agent", "needed": True},
        ]
    )
    found = measure_handoff_failures(ended, pl.DataFrame({"interaction_id": ["a"], "handled_by": ["ai"]}))
    assert found.rows() == [("a", LATE)]


def requests(*rows):
    asked = [
        {"request_id": name, "task": "intent", "slice": part, "value": value, "cases_needed": 3, "asked_at": NOW}
        for name, part, value in rows
    ]
    return t.GATE_REQUESTS.frame(asked)


def test_a_request_is_served_by_the_predicted_label_or_by_a_column_and_the_test_by_nothing():
    asked = requests(("1", "label", "refund"), ("2", "channel", "phone"), ("3", "part", "test"))
    interactions = pl.DataFrame({"interaction_id": ["a", "b", "c"], "channel": ["chat", "phone", None]})
    predictions = t.PREDICTIONS.frame(
        [said("a", "refund", 0.9), said("b", "refund", 0.9, task="mood"), said("gone", "refund", 0.9)]
    )
    found = match_requests(asked, interactions, predictions)
    assert sorted(found.select("request_id", "interaction_id").rows()) == [("1", "a"), ("2", "b")]


def test_what_a_request_lacks_is_less_what_it_had_and_the_oldest_comes_first():
    asked = requests(("1", "label", "a"), ("2", "label", "b"), ("3", "label", "c")).with_columns(
        asked_at=pl.lit(NOW) - pl.int_range(3) * timedelta(days=1)
    )
    served = pl.DataFrame({"request_id": ["1", "1", "2", "2", "2"]})
    assert count_needed(asked, served).rows() == [("3", 3), ("1", 1)]
