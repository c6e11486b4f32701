from datetime import UTC, datetime, timedelta

from labeling import tables as t
from training.judging.gates import GatePolicy, GateResult
from training.judging.requests import list_lacking, update_requests

NOW = datetime(2026, 3, 9, tzinfo=UTC)
POLICY = GatePolicy(schema_version=1, min_cases=50, alpha=0.05, margin=0.05, max_recall_drop=0.4, min_support=8)


def gates(*verdicts):
    return [GateResult(f"gate-{place}", verdict, "", "") for place, verdict in enumerate(verdicts)]


def lacking(truth, *verdicts):
    return list_lacking(gates(*verdicts), truth, task="intent", labels=["a", "b", "c"], policy=POLICY)


def test_an_undecided_gate_lacks_test_cases_and_those_of_each_label_with_too_few():
    found = lacking(["a"] * 9 + ["b"] * 3, "undecided")
    assert found.rows() == [
        ("intent", "part", "test", 38),
        ("intent", "label", "b", 5),
        ("intent", "label", "c", 8),
    ]


def test_a_test_that_was_large_enough_and_still_undecided_is_asked_for_once_more():
    assert lacking(["a", "b", "c"] * 20, "passed", "undecided").rows() == [("intent", "part", "test", 60)]


def test_gates_that_passed_or_failed_lack_nothing():
    assert lacking(["a"], "passed", "failed").is_empty()


def apply(requests, changed):
    kept = requests.join(changed, on="request_id", how="anti")
    return changed.vstack(kept).sort("slice", "value")


def test_a_request_stays_as_it_was_asked_until_it_is_met_and_can_be_asked_anew():
    first = update_requests(t.GATE_REQUESTS.empty(), lacking(["a"] * 9, "undecided"), tasks=["intent"], now=NOW)
    assert first.height == 3
    assert first["is_open"].all()
    later = NOW + timedelta(days=7)
    grown = update_requests(first, lacking(["a", "b"] * 9, "undecided"), tasks=["intent"], now=later)
    assert grown.select("slice", "value", "is_open").rows() == [("label", "b", False)]
    met = update_requests(apply(first, grown), lacking([], "passed"), tasks=["intent"], now=later)
    assert sorted(met["value"]) == ["c", "test"]
    assert not met["is_open"].any()
    closed = apply(apply(first, grown), met)
    again = update_requests(closed, lacking(["a"] * 9, "undecided"), tasks=["intent"], now=later)
    assert set(again["request_id"]) == set(first["request_id"])
    assert set(again["asked_at"]) == {later}


def test_requests_of_a_task_that_was_not_judged_stand():
    first = update_requests(t.GATE_REQUESTS.empty(), lacking([], "undecided"), tasks=["intent"], now=NOW)
    assert update_requests(first, lacking([], "passed"), tasks=["mood"], now=NOW).is_empty()
