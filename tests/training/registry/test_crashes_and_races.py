"""Real processes, really killed, on a real MLflow store."""

import os
import signal
import time

import pytest

from labeling.errors import DecisionRefused
from tests.training.registry.stage import NOW, PROCESSES, add_release, decide, open_stage, start
from training.registry.decisions import reconcile
from training.registry.mlflow_registry import MlflowRegistry
from training.registry.mlflow_store import make_store
from training.registry.registry import ANCHOR_TAG, RELEASE
from training.registry.standing import DECISION, read_standing

_CALLS = ("versions", "aliases", "set_alias", "remove_alias", "tag")
_DIED = -signal.SIGKILL
_SOME_TABLES = 100_000  # bytes, of some 900,000


class MortalRegistry(MlflowRegistry):
    """Kills its process when its ``deaths`` call is made (even), or right after it was done (odd)."""

    deaths = 0

    def __getattribute__(self, name):
        found = super().__getattribute__(name)
        return self._mortal(found) if name in _CALLS else found

    def _mortal(self, method):
        def call(*args, **kwargs):
            self._die()
            done = method(*args, **kwargs)
            self._die()
            return done

        return call

    def _die(self):
        if self.deaths == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.deaths -= 1


def _make_store(uri):
    make_store(uri)


def test_a_store_whose_making_was_killed_is_made_anew(tmp_path):
    store = tmp_path / "mlflow" / "mlflow.db"
    victim = start(_make_store, f"sqlite:///{store}")
    while victim.is_alive() and not any(draft.stat().st_size > _SOME_TABLES for draft in tmp_path.glob("mlflow/*.new")):
        time.sleep(0.01)
    victim.kill()
    victim.join()
    assert victim.exitcode == _DIED
    assert not store.exists(), "a store with half its tables would refuse every later start"

    assert MlflowRegistry(f"sqlite:///{store}", None).versions("any") == []
    assert not list(store.parent.glob("*.new*"))


def _act(folder, kind, version, deaths):
    MortalRegistry.deaths = deaths
    stage = open_stage(folder, MortalRegistry)
    stage.name(version) if kind == "name" else stage.apply(decide(kind, version))


def _play(folder, kind, version):
    """Kill ``kind`` at each point in turn, and look after each death; return what stood right after each."""
    seen = []
    for deaths in range(100):
        victim = start(_act, folder, kind, version, deaths)
        victim.join(60)
        stage = open_stage(folder)
        seen.append((read_standing(stage.ledger.entries()), stage.aliases()))
        if victim.exitcode == 0:
            return seen
        assert victim.exitcode == _DIED
    raise AssertionError("the action never ended")


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("name", {"champion": "1"}, {"champion": "1", "challenger": "2"}),
        ("approve", {"champion": "1", "challenger": "2"}, {"champion": "2"}),
        ("rollback", {"champion": "2"}, {"champion": "1"}),
    ],
)
def test_killed_at_every_point_and_begun_again_it_happens_once(stage, tmp_path, kind, before, after):
    one, two = add_release(stage.registry), add_release(stage.registry)
    stage.promote(one)
    stage.judge(two) if kind == "name" else stage.name(two)
    if kind == "rollback":
        stage.apply(decide("approve", two))
    entries = len(stage.ledger.entries())
    assert stage.aliases() == before

    seen = _play(tmp_path, kind, two)

    assert len(seen) > 8
    for standing, aliases in seen:
        if aliases.get("champion") != before.get("champion"):
            assert standing.champion == aliases.get("champion")  # never a champion without a decision
    assert seen[-1][1] == after
    assert len(stage.ledger.entries()) == entries + 2  # the act and its moves, once each
    anchors = [version.tags[ANCHOR_TAG] for version in stage.registry.versions(RELEASE)]
    assert stage.ledger.verify(anchors) == stage.ledger.head().digest
    assert stage.ledger.head().anchor in anchors
    assert reconcile(stage.ledger, stage.registry, now=NOW) == []


def test_what_a_kill_left_half_done_is_finished_by_reconcile(stage, tmp_path):
    version = add_release(stage.registry)
    stage.name(version)
    for deaths in range(100):
        victim = start(_act, tmp_path, "approve", version, deaths)
        victim.join(60)
        if stage.ledger.entries(DECISION):
            break
    assert stage.aliases() == {"challenger": version}
    told = reconcile(stage.ledger, stage.registry, now=NOW)
    assert f"{RELEASE}@champion: None -> {version} (entry 4: approve of {version} by ana)" in told
    assert stage.aliases() == {"champion": version}


def _race(folder, decision, gate, outcomes):
    stage = open_stage(folder)
    stage.registry.versions(RELEASE)
    gate.wait(60)
    try:
        stage.apply(decision)
        outcomes.put((decision.reviewer, "applied"))
    except DecisionRefused as error:
        outcomes.put((decision.reviewer, str(error)))


@pytest.mark.parametrize("kinds", [("approve", "approve"), ("approve", "reject"), ("rollback", "rollback")])
def test_of_two_decisions_at_once_one_wins_and_the_other_is_told(stage, tmp_path, kinds):
    one, two, three = (add_release(stage.registry) for _ in range(3))
    stage.promote(one)
    stage.promote(two)
    target = two if kinds[0] == "rollback" else three
    if target == three:
        stage.name(three)
    made = len(stage.ledger.entries(DECISION))
    gate, outcomes = PROCESSES.Barrier(2), PROCESSES.Queue()
    racers = [
        start(_race, tmp_path, decide(kind, target, reviewer=reviewer), gate, outcomes)
        for kind, reviewer in zip(kinds, ("ana", "ben"), strict=True)
    ]
    told = dict(outcomes.get(timeout=60) for _ in racers)
    for racer in racers:
        racer.join(60)

    assert sorted(outcome == "applied" for outcome in told.values()) == [False, True]
    winner = next(name for name, outcome in told.items() if outcome == "applied")
    loser = told["ben" if winner == "ana" else "ana"]
    assert f"by {winner} at" in loser or "the champion is version 1" in loser
    [decision] = stage.ledger.entries(DECISION)[made:]
    assert decision.body["reviewer"] == winner
    assert stage.aliases() == {"champion": decision.body["champion_after"]}
    assert reconcile(stage.ledger, stage.registry, now=NOW) == []
