"""How often a sealed test was opened, and how many challengers one champion met: counted on the ledger."""

from dataclasses import replace

import pytest

from labeling.errors import DecisionRefused, LedgerError
from tests.training.registry.stage import NOW, add_release, decide
from training.registry.judged import Judgement, look_at, record_judged
from training.registry.registry import ANCHOR_TAG, CASE_FILE_TAG, RELEASE, VERDICT_TAG
from training.registry.standing import JUDGED


def record(stage, judgement):
    return record_judged(judgement, at=NOW, ledger=stage.ledger, registry=stage.registry)


def counts(stage):
    entries = stage.ledger.entries()
    tests = [entry.body["test"] for entry in entries if entry.kind == JUDGED]
    return look_at(entries, "one never judged") - 1, tests.count("test-1"), tests.count("test-2")


def test_looks_are_counted_by_reign_and_test_uses_for_good(stage):
    one, two, three = (add_release(stage.registry) for _ in range(3))
    stage.promote(one)
    assert counts(stage) == (0, 1, 0)
    stage.judge(two, "inconclusive")
    again = Judgement(two, "c" * 64, "promote", one, "improve", None, 1, 0.01)
    assert record(stage, again) == record(stage, again)  # judged again with a sample: no use of the test, the same look
    assert counts(stage) == (1, 2, 0)
    assert (look_at(stage.ledger.entries(), two), look_at(stage.ledger.entries(), three)) == (1, 2)
    assert stage.registry.version(RELEASE, two).tags.items() >= {
        (CASE_FILE_TAG, "c" * 64),
        (VERDICT_TAG, "promote"),
        (ANCHOR_TAG, stage.ledger.head().anchor),
    }
    for stale, complaint in (
        (replace(again, version=three), "as challenger 1 of this champion, by now it is challenger 2"),
        (replace(again, version=three, champion=None, look=2), "judged against no champion, by now the champion is 1"),
    ):
        with pytest.raises(DecisionRefused, match=complaint):
            record(stage, stale)
    stage.judge(three)
    stage.name(three)
    stage.apply(decide("approve", three))
    assert counts(stage) == (0, 3, 0)


def test_nothing_is_counted_on_a_ledger_that_lost_its_tail(stage, tmp_path):
    one = add_release(stage.registry)
    stage.judge(one, "hold")
    (tmp_path / "ledger.sqlite").unlink()
    with pytest.raises(LedgerError, match="the ledger lacks entry 1 as the registry remembers it"):
        stage.judge(one, "hold")
    assert stage.ledger.entries() == []
