"""A test case serves in so many judgings, then it trains."""

from datetime import timedelta

import polars as pl
import pytest

from assets.sealed_test import release_used, used_up_at
from assets.training import settled_labels
from labeling import tables as t
from tests.assets.conftest import NOW
from tests.assets.judging_stage import JudgedHome
from training.registry.standing import JUDGED


@pytest.fixture
def home(stocked):
    home = JudgedHome(stocked)
    home.set_gates(test_uses=2)
    return home


def judge(home, *days, test="digest"):
    for day in days:
        body = {"version": "1", "case_file": "", "verdict": "hold", "champion": None, "test": test}
        home.loop.open_ledger().append(JUDGED, body, at=NOW + timedelta(days=day))


def test_cases_stay_sealed_until_their_uses_are_up(home):
    assert used_up_at([], uses=2) is None
    judge(home, 1)
    judge(home, 2, test=None)
    assert used_up_at(home.loop.open_ledger().entries(), uses=2) is None
    judge(home, 3, 5)
    assert used_up_at(home.loop.open_ledger().entries(), uses=2) == NOW + timedelta(days=3)


def test_used_cases_train_and_newer_ones_take_their_place(home):
    home.put_test(["refund"] * 3, prefix="old", occurred_at=NOW)
    home.put_test(["refund"] * 2, prefix="new", occurred_at=NOW + timedelta(days=4))
    judge(home, 3, 5)
    tested = settled_labels(home.loop, "topic", lot="audit", part="test")["interaction_id"]
    trained = settled_labels(home.loop, "topic", lot="open")["interaction_id"]
    assert tested.to_list() == ["new-000", "new-001"]
    assert trained.to_list() == ["old-000", "old-001", "old-002"]


def test_a_conversation_goes_as_a_whole(home):
    turns = [{"interaction_id": f"turn-{day}", "occurred_at": NOW + timedelta(days=day), "turn": day} for day in (1, 4)]
    home.stocked.put(t.INTERACTIONS, *turns, conversation_id="one", lot="audit", part="test", text="hello")
    judge(home, 3, 5)
    found = release_used(home.stocked.tables.read(t.INTERACTIONS), home.loop)
    assert found["lot"].unique().to_list() == ["audit"]
    assert found.filter(pl.col("part") == "test").height == 2
