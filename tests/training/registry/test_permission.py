"""Decisions that must not be taken: by the wrong person, on the wrong evidence, or on what has gone since."""

import shutil
import sqlite3
from contextlib import closing

import pytest

from labeling.errors import CaseFileError, DecisionRefused, NotAllowed, RegistryError
from labeling.migrations import LabelChange, Migration
from labeling.taxonomy import Label
from tests.training.registry.stage import (
    NOW,
    PEOPLE,
    TAXONOMY,
    add_release,
    decide,
    open_stage,
    write_model,
)
from training.judging.gates import GateResult
from training.registry.decisions import reconcile
from training.registry.judged import read_waivers
from training.registry.registry import RELEASE, VERDICT_TAG
from training.registry.standing import read_standing

TWO_MUST = PEOPLE.model_copy(update={"required_approvals": 2})
LACKING = GateResult("protected", "undecided", "4 cases", "a drop of 0.5", slice=("language", "de"))
HARMED = GateResult("slice_suspect", "undecided", "p 0.008", "p over 0.01", slice=("language", "fr"), p=0.008)


@pytest.fixture(scope="module")
def contested(migrated_mlflow, tmp_path_factory):
    """The folder of a stage on which version 1 is the champion and version 2 waits; copy it."""
    folder = tmp_path_factory.mktemp("contested")
    (folder / "mlflow").mkdir()
    shutil.copy(migrated_mlflow, folder / "mlflow" / "mlflow.db")
    stage = open_stage(folder)
    add_release(stage.registry)
    add_release(stage.registry)
    stage.promote("1")
    stage.name("2", authors=("Ben", "Cleo P <cleo@elsewhere.org>"))
    return folder


@pytest.fixture
def stage(contested, tmp_path):
    return open_stage(shutil.copytree(contested, tmp_path / "stage"))


def approve(stage, **more):
    return stage.apply(decide("approve", "2", **more))


def assert_nothing_happened(stage):
    assert stage.aliases() == {"champion": "1", "challenger": "2"}
    assert read_standing(stage.ledger.entries()).champion == "1"


@pytest.mark.parametrize(
    ("kind", "reviewer", "complaint"),
    [
        ("approve", "rita", "needs the role reviewer"),
        ("reject", "rita", "needs the role reviewer"),
        ("more_evidence", "rita", "needs the role reviewer"),
        ("approve", "mallory", "needs somebody of"),
        ("approve", "", "needs somebody of"),
        ("approve", "ben", "needs somebody who did not make it, ben did"),
        ("approve", "CLEO", "needs somebody who did not make it, cleo did"),
    ],
)
def test_who_may_not_decide_is_refused(stage, kind, reviewer, complaint):
    with pytest.raises(NotAllowed, match=complaint):
        stage.apply(decide(kind, "2", reviewer=reviewer))
    assert_nothing_happened(stage)


def test_who_was_removed_may_not_even_repeat_what_they_decided(stage):
    approve(stage)
    stage.people = PEOPLE.model_copy(update={"people": PEOPLE.people[1:]})
    with pytest.raises(NotAllowed, match="needs somebody of"):
        approve(stage)
    with pytest.raises(NotAllowed, match="needs somebody of"):
        stage.apply(decide("rollback", "2"))


def test_approvals_of_distinct_people_add_up(stage):
    stage.people = TWO_MUST
    stage.judge("2")
    stage.name("2")
    first = approve(stage)
    assert (first.approvals_lacking, first.moves) == (1, ())
    assert_nothing_happened(stage)
    for again in ({"note": "I said so"}, {"reviewer": " ANA ", "note": "truly"}):
        with pytest.raises(DecisionRefused, match="needs another person's approval, ana approved it before"):
            approve(stage, **again)
    assert approve(stage).entry == first.entry  # the same command again
    last = approve(stage, reviewer="ben")
    assert (last.approvals_lacking, last.entry.body["approved_by"]) == (0, ["ana", "ben"])
    assert stage.aliases() == {"champion": "2"}


def test_an_approval_lapses_with_the_role_and_with_the_evidence(stage):
    stage.people = TWO_MUST
    stage.judge("2")
    stage.name("2")
    approve(stage)
    stage.judge("2", authors=("another",))
    stage.name("2")
    assert approve(stage, reviewer="ben").approvals_lacking == 1  # ana approved of other evidence
    gone = [entry for entry in PEOPLE.people if entry.name != "ben"]
    stage.people = TWO_MUST.model_copy(update={"people": tuple(gone)})
    assert approve(stage, reviewer="cleo").approvals_lacking == 1  # ben may not decide any more
    assert_nothing_happened(stage)


def test_where_nobody_knows_who_made_it_one_more_must_approve(stage):
    case_file = stage.judge("2", authors=("unknown",))
    stage.name("2", authors=("unknown",))
    assert approve(stage, case_file=case_file).approvals_lacking == 1
    assert_nothing_happened(stage)
    approve(stage, reviewer="cleo")
    assert stage.aliases() == {"champion": "2"}


def test_a_case_file_that_is_not_what_was_judged_is_refused(stage):
    folder = stage.case_files / read_standing(stage.ledger.entries()).named["2"].body["case_file"]
    with pytest.raises(DecisionRefused, match="judged again since you looked"):
        approve(stage, case_file="0" * 64)
    kept = (folder / "gates.json").read_bytes()
    (folder / "gates.json").write_bytes(kept + b" ")
    with pytest.raises(CaseFileError, match=r"gates\.json was changed"):
        approve(stage)
    (folder / "gates.json").write_bytes(kept)
    about = (folder / "case.json").read_bytes()
    (folder / "case.json").write_bytes(about.replace(b'"authors":["Ben"', b'"authors":["Eve"'))
    with pytest.raises(CaseFileError, match=r"needs the case.json that names it"):
        approve(stage)
    shutil.rmtree(folder)
    with pytest.raises(CaseFileError, match="found none that can be read"):
        approve(stage)
    assert_nothing_happened(stage)
    stage.apply(decide("reject", "2"))  # what cannot be shown can still be turned down
    assert stage.aliases() == {"champion": "1"}


def test_what_was_judged_against_an_earlier_champion_is_judged_again(stage):
    three = add_release(stage.registry)
    stage.judge("2")
    stage.name("2")
    approve(stage)
    stage.name(three)
    stage.apply(decide("rollback", "2"))
    with pytest.raises(DecisionRefused, match="judged against version 2, by now the champion is version 1: judge it"):
        stage.apply(decide("approve", three))
    stage.judge(three)
    with pytest.raises(DecisionRefused, match="it was judged again since"):
        stage.apply(decide("approve", three))
    stage.name(three)
    stage.apply(decide("approve", three))
    assert stage.aliases() == {"champion": three}


def test_a_verdict_set_by_hand_does_not_pass(stage):
    three = add_release(stage.registry)
    case_file = stage.judge(three, "hold")
    stage.registry.tag(RELEASE, three, {VERDICT_TAG: "promote"})
    stage.registry.set_alias(RELEASE, "challenger", three)
    with pytest.raises(DecisionRefused, match="they said hold"):
        stage.apply(decide("approve", three, case_file=case_file))
    reconcile(stage.ledger, stage.registry, now=NOW)
    assert_nothing_happened(stage)


def test_only_a_gate_that_lacked_cases_is_waived_and_never_by_an_author(stage):
    three = add_release(stage.registry)
    stage.judge(three, "inconclusive", authors=("ben",), gates=(LACKING, HARMED))
    gate = "intent.protected[language=de]"
    for wrong in ("intent.slice_suspect[language=fr]", "intent.protected[language=it]", ""):
        with pytest.raises(DecisionRefused, match=r"gate that lacked cases, .* has intent.protected\[language=de\]"):
            stage.apply(decide("waive", three, gate=wrong))
    with pytest.raises(NotAllowed, match="ben did"):
        stage.apply(decide("waive", three, reviewer="ben", gate=gate))
    waived = stage.apply(decide("waive", three, gate=gate))
    assert stage.apply(decide("waive", three, gate=gate)).entry == waived.entry
    assert read_waivers(stage.ledger.entries(), three, "intent") == {("language", "de"): "ana"}
    assert read_waivers(stage.ledger.entries(), "2", "intent") == {}
    assert_nothing_happened(stage)
    with pytest.raises(DecisionRefused, match="version 2 was judged promote"):
        stage.apply(decide("waive", "2", gate=gate))


def test_more_evidence_can_be_asked_for_until_it_is_decided(stage):
    asked = stage.apply(decide("more_evidence", "2", reviewer="ben", note="refunds?"))
    assert asked.standing.asked["2"].body["note"] == "refunds?"
    assert stage.ledger.entries()[-1] == asked.entry
    assert_nothing_happened(stage)
    approve(stage)
    with pytest.raises(DecisionRefused, match="decided on"):
        stage.apply(decide("more_evidence", "2", note="too late"))
    with pytest.raises(DecisionRefused, match="has not been judged"):
        stage.apply(decide("more_evidence", add_release(stage.registry)))


def test_a_version_that_was_deleted_under_review_can_be_turned_down_but_not_approved(stage):
    stage.registry._client.delete_model_version(RELEASE, "2")
    with pytest.raises(DecisionRefused, match="no version '2', it has 1: it was deleted"):
        approve(stage)
    assert reconcile(stage.ledger, stage.registry, now=NOW) == []
    stage.apply(decide("reject", "2"))
    assert stage.aliases() == {"champion": "1"}


def test_a_champion_that_was_deleted_is_told_of_until_it_is_rolled_back(stage):
    approve(stage)
    stage.registry._client.delete_model_version(RELEASE, "2")
    with pytest.raises(RegistryError, match="version 2 is the champion, and was deleted"):
        reconcile(stage.ledger, stage.registry, now=NOW)
    stage.apply(decide("rollback", "2"))
    assert stage.aliases() == {"champion": "1"}


def test_a_rollback_to_files_that_are_gone_says_so_and_moves_nothing(stage, tmp_path):
    approve(stage)
    gone = tmp_path / "gone"
    write_model(gone, labels=("refund", "cancel"))
    shutil.rmtree(gone / "artifacts")
    with closing(sqlite3.connect(tmp_path / "stage" / "mlflow" / "mlflow.db")) as database, database:
        database.execute(
            "UPDATE model_versions SET source = ?, storage_location = ? WHERE version = 1", [str(gone)] * 2
        )
    entries = len(stage.ledger.entries())
    with pytest.raises(RegistryError, match="version 2 stays the champion, nothing was moved: the files of cxloop-tri"):
        stage.apply(decide("rollback", "2"))
    assert len(stage.ledger.entries()) == entries
    assert stage.aliases() == {"champion": "2"}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"rename": {"refund": "money_back"}}, ""),
        ({"retire": ("refund",)}, ""),
        (None, r"labels that taxonomy version 2 does not know \(refund\): say under `migrations`"),
    ],
)
def test_the_labels_of_an_older_taxonomy_translate_or_are_refused(stage, change, complaint):
    names = ("cancel", "money_back", "invoice")
    task = TAXONOMY.tasks[0].model_copy(update={"labels": tuple(Label(name=name, title=name) for name in names)})
    migrations = (Migration(version=2, tasks={"intent": LabelChange(**change)}),) if change else ()
    stage.taxonomy = TAXONOMY.model_copy(update={"version": 2, "tasks": (task,), "migrations": migrations})
    if not complaint:
        assert approve(stage).standing.champion == "2"
        return
    with pytest.raises(DecisionRefused, match=complaint):
        approve(stage)
    assert_nothing_happened(stage)
