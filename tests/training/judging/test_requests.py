from datetime import UTC, datetime, timedelta

from labeling import tables as t
from training.judging.gates import GateResult
from training.judging.requests import list_lacking, update_requests

NOW = datetime(2026, 3, 9, tzinfo=UTC)


def lacking(**wanted):
    """Return what a task lacks whose gates want so many cases: of the whole test, or of a label."""
    gates = [
        GateResult(f"of_{name}", "undecided", "", "", slice=None if name == "test" else ("label", name), lacking=cases)
        for name, cases in wanted.items()
    ]
    return list_lacking([GateResult("fine", "passed", "", ""), *gates], task="intent")


def test_a_slice_lacks_its_own_cases_and_the_test_as_many_as_the_gate_that_lacks_most():
    gates = [
        GateResult("not_worse", "undecided", "", "", lacking=38),
        GateResult("out_of_scope", "undecided", "", "", lacking=12),
        GateResult("protected_slice", "undecided", "", "", slice=("segment", "vulnerable"), lacking=25),
        GateResult("floor_recall", "waived", "", "", slice=("label", "b"), lacking=5),
        GateResult("better", "undecided", "", ""),
    ]
    assert list_lacking(gates, task="intent").rows() == [
        ("intent", "part", "test", 38),
        ("intent", "segment", "vulnerable", 25),
    ]


def test_gates_that_passed_or_failed_lack_nothing():
    gates = [GateResult("a", "passed", "", "", lacking=3), GateResult("b", "failed", "", "", lacking=3)]
    assert list_lacking(gates, task="intent").is_empty()


def apply(requests, changed):
    kept = requests.join(changed, on="request_id", how="anti")
    return changed.vstack(kept).sort("slice", "value")


def test_a_request_stays_as_it_was_asked_until_it_is_met_and_can_be_asked_anew():
    first = update_requests(t.GATE_REQUESTS.empty(), lacking(test=41, b=8, c=8), tasks=["intent"], now=NOW)
    assert first.height == 3
    assert first["is_open"].all()
    later = NOW + timedelta(days=7)
    grown = update_requests(first, lacking(test=20, c=8), tasks=["intent"], now=later)
    assert grown.select("slice", "value", "is_open").rows() == [("label", "b", False)]
    met = update_requests(apply(first, grown), lacking(), tasks=["intent"], now=later)
    assert sorted(met["value"]) == ["c", "test"]
    assert not met["is_open"].any()
    closed = apply(apply(first, grown), met)
    again = update_requests(closed, lacking(test=41, b=8, c=8), tasks=["intent"], now=later)
    assert set(again["request_id"]) == set(first["request_id"])
    assert set(again["asked_at"]) == {later}


def test_requests_of_a_task_that_was_not_judged_stand():
    first = update_requests(t.GATE_REQUESTS.empty(), lacking(test=50), tasks=["intent"], now=NOW)
    assert update_requests(first, lacking(), tasks=["mood"], now=NOW).is_empty()
