from datetime import timedelta

import pytest

from labeling.errors import DecisionRefused, LedgerError, RegistryError
from tests.training.registry.stage import NOW, add_release, decide
from training.registry.decisions import reconcile
from training.registry.registry import ANCHOR_TAG, MEMBERS_TAG, PARITY_TAG, RELEASE, VERDICT_TAG
from training.registry.standing import ALIAS_MOVED, ALIAS_PUT_RIGHT, CHALLENGER_NAMED, DECISION, JUDGED, read_standing


def kinds(stage):
    return [entry.kind for entry in stage.ledger.entries()]


def test_the_way_of_a_release_from_named_to_rolled_back(stage):
    one, two = add_release(stage.registry), add_release(stage.registry)

    stage.name(one)
    assert stage.aliases() == {"challenger": one}
    stage.apply(decide("approve", one))
    assert stage.aliases() == {"champion": one}
    stage.name(two)
    assert stage.aliases() == {"champion": one, "challenger": two}
    later = NOW + timedelta(days=7)
    approved = stage.apply(decide("approve", two, reviewer="ben", note="better on refunds", at=later))
    assert stage.aliases() == {"champion": two}
    assert stage.registry.aliases("cxloop-intent") == {"champion": "2"}

    assert (approved.standing.champion, approved.standing.previous_champion) == (two, one)
    assert approved.standing.champion_since == later
    assert dict(approved.entry.body) == {
        "decision": "approve",
        "version": two,
        "reviewer": "ben",
        "note": "better on refunds",
        "case_file": stage.ledger.entries(CHALLENGER_NAMED)[-1].body["case_file"],
        "approved_by": ["ben"],
        "approvals_needed": 1,
        "champion_before": one,
        "champion_after": two,
    }
    assert approved.entry.at == later
    assert any(f"{RELEASE}@champion: {one} -> {two} (entry " in move for move in approved.moves)

    back = stage.apply(decide("rollback", two, note="complaints"))
    assert stage.aliases() == {"champion": one}
    assert stage.registry.aliases("cxloop-intent") == {"champion": "1"}
    assert back.standing.champions == (one,)
    assert kinds(stage) == [JUDGED, CHALLENGER_NAMED, ALIAS_MOVED, DECISION, ALIAS_MOVED] * 2 + [DECISION, ALIAS_MOVED]


def test_rollback_follows_the_ledger_and_not_the_numbers(stage):
    one, two, three = (add_release(stage.registry) for _ in range(3))
    for version in (three, one):
        stage.promote(version)
    stage.apply(decide("rollback", one))
    stage.promote(two)
    assert stage.apply(decide("rollback", two)).standing.champion == three
    with pytest.raises(DecisionRefused, match=f"champion before version {three}, the ledger has none"):
        stage.apply(decide("rollback", three))
    assert stage.aliases() == {"champion": three}


def test_a_rollback_leaves_the_waiting_challenger(stage):
    one, two, three = (add_release(stage.registry) for _ in range(3))
    stage.promote(one)
    stage.promote(two)
    stage.name(three)
    stage.apply(decide("rollback", two))
    assert stage.aliases() == {"champion": one, "challenger": three}


def test_a_rejected_challenger_goes_and_never_comes_back(stage):
    one, two = add_release(stage.registry), add_release(stage.registry)
    stage.promote(one)
    stage.name(two)
    stage.apply(decide("reject", two, note="no"))
    assert stage.aliases() == {"champion": one}
    for again in (lambda: stage.name(two), lambda: stage.apply(decide("approve", two))):
        with pytest.raises(DecisionRefused, match=r"decided on \(reject by ana at 2026-03-02 09:30 UTC, entry"):
            again()


def test_a_newer_challenger_takes_the_place_of_one_that_waits(stage):
    one, two = add_release(stage.registry), add_release(stage.registry)
    stage.name(one)
    stage.name(two)
    assert stage.aliases() == {"challenger": two}
    assert stage.ledger.entries(CHALLENGER_NAMED)[-1].body["replaces"] == one
    with pytest.raises(DecisionRefused, match=f"version {one} is not the challenger \\(version {two} is\\)"):
        stage.apply(decide("approve", one))


@pytest.mark.parametrize(
    ("tags", "complaint"),
    [
        ({VERDICT_TAG: "hold"}, "needs the gates to say promote, they said hold"),
        ({VERDICT_TAG: "inconclusive"}, "they said inconclusive"),
        ({VERDICT_TAG: None}, "they said nothing"),
        ({PARITY_TAG: "failed"}, "same answers after reloading, found failed"),
        ({PARITY_TAG: None}, "found no check"),
        ({MEMBERS_TAG: '{"cxloop-intent": "99"}'}, "needs cxloop-intent version 99, which is not registered"),
    ],
)
def test_a_release_that_did_not_pass_is_refused(stage, tags, complaint):
    version = add_release(stage.registry, **tags)
    for attempt in (lambda: stage.name(version), lambda: stage.apply(decide("approve", version))):
        with pytest.raises(DecisionRefused, match=complaint):
            attempt()
    stage.registry.set_alias(RELEASE, "challenger", version)
    with pytest.raises(DecisionRefused, match=complaint):
        stage.apply(decide("approve", version))
    assert set(kinds(stage)) <= {JUDGED}


def test_a_verdict_changed_after_the_naming_is_noticed(stage):
    version = add_release(stage.registry)
    stage.name(version)
    stage.registry.tag(RELEASE, version, {VERDICT_TAG: "hold"})
    with pytest.raises(DecisionRefused, match="they said hold"):
        stage.apply(decide("approve", version))


def test_an_alias_set_by_hand_does_not_make_a_challenger(stage):
    version = add_release(stage.registry)
    stage.registry.set_alias(RELEASE, "challenger", version)
    with pytest.raises(DecisionRefused, match="not the challenger, none waits"):
        stage.apply(decide("approve", version))


@pytest.mark.parametrize("kind", ["approve", "reject"])
def test_an_unknown_version_is_refused_and_the_known_are_named(stage, kind):
    add_release(stage.registry)
    with pytest.raises(DecisionRefused, match="no version '7', it has 1"):
        stage.apply(decide(kind, "7"))


def test_a_rollback_of_what_is_not_champion_is_refused(stage):
    one, two = add_release(stage.registry), add_release(stage.registry)
    with pytest.raises(DecisionRefused, match="the champion is none"):
        stage.apply(decide("rollback", one))
    stage.promote(one)
    stage.promote(two)
    with pytest.raises(DecisionRefused, match=f"the champion is version {two} \\(approve by ana"):
        stage.apply(decide("rollback", one))


def test_the_same_decision_again_changes_nothing(stage):
    one, two = add_release(stage.registry), add_release(stage.registry)
    stage.promote(one)
    for decision in (decide("approve", two), decide("rollback", two)):
        stage.name(two) if decision.kind == "approve" else None
        first = stage.apply(decision)
        entries = stage.ledger.entries()
        second = stage.apply(decide(decision.kind, two, at=NOW + timedelta(hours=1)))
        assert second.entry == first.entry
        assert second.moves == ()
        assert stage.ledger.entries() == entries
    with pytest.raises(DecisionRefused, match=r"the champion is version 1"):
        stage.apply(decide("rollback", two, reviewer="ben"))


def test_naming_the_same_challenger_again_changes_nothing(stage):
    version = add_release(stage.registry)
    first = stage.name(version)
    entries = stage.ledger.entries()
    assert stage.name(version).entry == first.entry
    assert stage.ledger.entries() == entries


def test_a_note_is_any_text_within_its_length(stage):
    version = add_release(stage.registry)
    stage.name(version)
    with pytest.raises(DecisionRefused, match="up to 2,000 characters, found 1,000,000"):
        stage.apply(decide("approve", version, note="x" * 1_000_000))
    note = "<script>alert(1)</script>\u0000\x1b[31m'; DROP TABLE entries; -- 日本 \udcff"
    stage.apply(decide("approve", version, reviewer=" ana ", note=note))
    [kept] = stage.ledger.entries(DECISION)
    assert kept.body["note"] == note.replace("\udcff", "\\udcff")
    assert kept.body["reviewer"] == "ana"


def test_aliases_moved_by_hand_are_put_right_and_recorded(stage):
    one, two = add_release(stage.registry), add_release(stage.registry)
    stage.promote(one)
    stage.registry.set_alias(RELEASE, "champion", two)
    stage.registry.set_alias(RELEASE, "challenger", two)
    stage.registry.remove_alias("cxloop-intent", "champion")
    stage.registry.set_alias(RELEASE, "somebody-elses", two)

    told = reconcile(stage.ledger, stage.registry, now=NOW)

    assert sorted(told) == [
        "cxloop-intent@champion: None -> 1 (moved by hand, put right)",
        "cxloop-triage@challenger: 2 -> None (moved by hand, put right)",
        "cxloop-triage@champion: 2 -> 1 (moved by hand, put right)",
    ]
    assert stage.aliases() == {"champion": one, "somebody-elses": two}
    assert len(stage.ledger.entries(ALIAS_PUT_RIGHT)) == 1
    assert reconcile(stage.ledger, stage.registry, now=NOW) == []
    assert len(stage.ledger.entries(ALIAS_PUT_RIGHT)) == 1


def test_a_champion_that_nobody_decided_on_is_taken_down(stage):
    version = add_release(stage.registry)
    stage.registry.set_alias(RELEASE, "champion", version)
    reconcile(stage.ledger, stage.registry, now=NOW)
    assert stage.aliases() == {}


def test_an_empty_registry_and_ledger_agree(stage):
    assert reconcile(stage.ledger, stage.registry, now=NOW) == []


def test_nothing_moves_under_a_ledger_that_lost_its_tail(stage, tmp_path):
    one, two = add_release(stage.registry), add_release(stage.registry)
    stage.promote(one)
    kept = (tmp_path / "ledger.sqlite").read_bytes(), (tmp_path / "ledger.sqlite-wal").exists()
    assert kept[1] is False  # closed connections leave the database whole
    stage.promote(two)
    assert stage.registry.version(RELEASE, two).tags[ANCHOR_TAG] == stage.ledger.head().anchor

    (tmp_path / "ledger.sqlite").write_bytes(kept[0])
    assert read_standing(stage.ledger.entries()).champion == one
    for attempt in (
        lambda: reconcile(stage.ledger, stage.registry, now=NOW),
        lambda: stage.apply(decide("rollback", one)),
        lambda: stage.name(two),
    ):
        with pytest.raises(LedgerError, match="cut or rewritten"):
            attempt()
    assert stage.aliases() == {"champion": two}


class _Failing:
    """A registry that is down from the moment that ``is_down`` says so."""

    def __init__(self, registry, is_down):
        self._registry = registry
        self._is_down = is_down

    def __getattr__(self, name):
        def call(*args, **kwargs):
            if self._is_down(name):
                raise RegistryError("the model registry cannot be used: see that it runs")
            return getattr(self._registry, name)(*args, **kwargs)

        return call


def test_a_registry_that_is_down_leaves_no_decision(stage):
    version = add_release(stage.registry)
    stage.name(version)
    real, stage.registry = stage.registry, _Failing(stage.registry, lambda name: True)
    with pytest.raises(RegistryError, match="cannot be used"):
        stage.apply(decide("approve", version))
    assert stage.ledger.entries(DECISION) == []
    assert real.aliases(RELEASE) == {"challenger": version}


def test_a_registry_that_goes_down_after_the_decision_says_that_it_is_recorded(stage):
    version = add_release(stage.registry)
    stage.name(version)
    real, stage.registry = stage.registry, _Failing(stage.registry, lambda name: name == "set_alias")
    with pytest.raises(RegistryError, match="ledger entry 4 is recorded, but the aliases could not be moved"):
        stage.apply(decide("approve", version))
    assert real.aliases(RELEASE) == {"challenger": version}
    stage.registry = real
    assert reconcile(stage.ledger, real, now=NOW)
    assert real.aliases(RELEASE) == {"champion": version}
