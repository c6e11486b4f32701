import pytest

from assets.pool import review_pool
from labeling import tables as t

KEY = b"key"


def said(name, task, label, *, margin, version="2"):
    row = {"interaction_id": name, "task": task, "label": label, "model_version": version}
    return row | {"confidence": margin + 0.2, "margin": margin, "shown": True, "handoff": False}


def pool_of(stocked, champion="2"):
    return review_pool(stocked.tables, key=KEY, champion=champion)


def test_those_that_somebody_was_asked_about_are_left_out(stocked):
    stocked.interactions("new", "queued", "read", "corrected")
    stocked.put(t.REVIEW_QUEUE, {"case_id": "c", "interaction_id": "queued"})
    stocked.labels({"read": "refund"})
    stocked.labels({"corrected": "refund"}, source="correction")
    assert pool_of(stocked)["interaction_id"].to_list() == ["corrected", "new"]


def test_the_task_that_the_champion_is_least_sure_of_ranks_a_row(stocked):
    stocked.interactions("a")
    stocked.put(t.PREDICTIONS, said("a", "intent", "refund", margin=0.5), said("a", "sentiment", "neutral", margin=0.1))
    stocked.put(t.PREDICTIONS, said("a", "intent", "billing", margin=0.01, version="1"))
    [row] = pool_of(stocked).to_dicts()
    assert (row["label"], row["margin"]) == ("neutral", 0.1)
    assert row["confidence"] == pytest.approx(0.3)


def test_without_a_champion_nothing_ranks(stocked):
    stocked.interactions("a")
    stocked.put(t.PREDICTIONS, said("a", "intent", "refund", margin=0.5))
    [row] = pool_of(stocked, champion=None).to_dicts()
    assert (row["label"], row["margin"], row["confidence"]) == (None, None, None)


def test_corrections_and_escalations_are_marked_once(stocked):
    stocked.interactions("a", "b", lot="audit", part="test")
    stocked.put(t.CORRECTIONS, {"correction_id": "1"}, {"correction_id": "2"}, interaction_id="a")
    stocked.put(t.ESCALATIONS, {"escalation_id": "1"}, {"escalation_id": "2"}, interaction_id="b")
    rows = pool_of(stocked).select("interaction_id", "lot", "corrected", "escalated").rows()
    assert rows == [("a", "audit", True, False), ("b", "audit", False, True)]


def test_copies_of_one_text_share_a_digest_that_does_not_tell_it(stocked):
    stocked.interactions("a", "b", text="hello")
    stocked.interactions("c")
    one, two, other = pool_of(stocked)["text_digest"]
    assert one == two != other
    assert "hello" not in one
