from assets.gate_requests import request_cases
from labeling import tables as t
from training.judging.gates import GateResult


def gate(name, verdict, **about):
    return GateResult(name, verdict, "", "", **about)


def test_what_a_judging_lacked_is_asked_for_until_a_later_one_passes(stocked):
    tasks = ["intent", "sentiment"]
    gates = [
        gate("intent.enough_cases", "undecided", lacking=49),
        gate("intent.protected_slice", "undecided", slice=("label", "unknown_charge"), lacking=25),
        gate("sentiment.enough_cases", "passed"),
    ]
    assert request_cases(stocked.loop, gates, tasks=tasks) == 2
    asked = stocked.tables.read(t.GATE_REQUESTS)
    assert set(asked["task"]) == {"intent"}
    needed = dict(asked.select("value", "cases_needed").iter_rows())
    assert needed == {"test": 49, "unknown_charge": 25}
    assert request_cases(stocked.loop, gates, tasks=tasks) == 2
    passed = [gate("intent.enough_cases", "passed"), gate("sentiment.enough_cases", "passed")]
    assert request_cases(stocked.loop, passed, tasks=tasks) == 0
    assert stocked.tables.read(t.GATE_REQUESTS).height == 2
