from assets.gate_requests import request_cases
from labeling import tables as t
from training.judging.gates import GateResult


def gate(name, verdict):
    return GateResult(name, verdict, "", "")


def test_what_a_judging_lacked_is_asked_for_until_a_later_one_passes(stocked):
    stocked.interactions("a", lot="audit", part="test")
    stocked.labels({"a": "unknown_charge"})
    tasks = ["intent", "sentiment"]
    gates = [gate("intent.enough_cases", "undecided"), gate("sentiment.enough_cases", "passed")]
    assert request_cases(stocked.loop, gates, tasks=tasks) == 26  # the test, and each of 25 intents
    asked = stocked.tables.read(t.GATE_REQUESTS)
    assert set(asked["task"]) == {"intent"}
    needed = dict(asked.select("value", "cases_needed").iter_rows())
    assert (needed["test"], needed["unknown_charge"], needed["payment_failed"]) == (49, 7, 8)
    assert request_cases(stocked.loop, gates, tasks=tasks) == 26
    passed = [gate("intent.enough_cases", "passed"), gate("sentiment.enough_cases", "passed")]
    assert request_cases(stocked.loop, passed, tasks=tasks) == 0
    assert stocked.tables.read(t.GATE_REQUESTS).height == 26
