from datetime import timedelta

import pytest

from assets.pool import read_asked, read_labelled, read_waiting
from labeling import tables as t
from labeling.selection.pool import LABELLED, WAITING
from tests.assets.conftest import NOW


def said(name, task, label, *, margin, version="2"):
    row = {"interaction_id": name, "task": task, "label": label, "model_version": version}
    return row | {"confidence": margin + 0.2, "margin": margin, "shown": True, "handoff": False}


def waiting_of(stocked, champion="2", previous="1"):
    taxonomy = stocked.loop.settings.taxonomy
    return read_waiting(stocked.tables, taxonomy=taxonomy, champion=champion, previous=previous)[0]


def labelled_of(stocked):
    return read_labelled(stocked.tables, taxonomy=stocked.loop.settings.taxonomy)


def test_those_that_somebody_was_asked_about_are_left_out(stocked):
    stocked.interactions("new", "queued", "read", "corrected")
    stocked.put(t.REVIEW_QUEUE, {"case_id": "c", "interaction_id": "queued"})
    stocked.labels({"read": "refund_status"})
    stocked.labels({"corrected": "refund_status"}, source="correction")
    waiting = waiting_of(stocked)
    assert waiting["interaction_id"].to_list() == ["corrected", "new"]
    assert waiting.columns == [*WAITING, "text"]


def test_an_interaction_whose_case_was_withdrawn_waits_again_under_another_name(stocked):
    stocked.interactions("once", "twice", "asked_anew")
    cases = {"1": "once", "2": "twice", "3": "twice", "4": "asked_anew", "5": "asked_anew"}
    stocked.put(t.REVIEW_QUEUE, *({"case_id": case, "interaction_id": name} for case, name in cases.items()))
    stocked.put(t.REVIEW_TASKS, *({"case_id": case} for case in "1234"), state="withdrawn")
    stocked.put(t.REVIEW_TASKS, {"case_id": "5"}, state="sent")
    assert waiting_of(stocked).select("interaction_id", "withdrawn").rows() == [("once", 1), ("twice", 2)]


def test_the_least_sure_task_ranks_a_row_and_the_first_task_s_label_is_what_is_capped(stocked):
    stocked.interactions("a")
    stocked.put(t.PREDICTIONS, said("a", "intent", "refund", margin=0.5), said("a", "sentiment", "neutral", margin=0.1))
    stocked.put(t.PREDICTIONS, said("a", "intent", "billing", margin=0.01, version="1"))
    assert waiting_of(stocked).select("predicted", "margin").row(0) == ("refund", 0.1)
    assert waiting_of(stocked)["disagreement"][0] == pytest.approx(0.21)
    assert waiting_of(stocked, champion=None).select("predicted", "margin", "disagreement").row(0) == (None,) * 3


def test_corrections_and_failed_handoffs_are_joined_once(stocked):
    stocked.interactions("a", "b", lot="audit", part="test", handled_by="ai")
    stocked.put(t.PREDICTIONS, said("a", "intent", "refund", margin=0.5))
    row = {"interaction_id": "a", "task": "intent", "label": "billing"}
    stocked.put(t.CORRECTIONS, {"correction_id": "1"} | row, {"correction_id": "2"} | row)
    late = {"interaction_id": "b", "trigger": "customer", "needed": True}
    stocked.put(t.ESCALATIONS, {"escalation_id": "1"} | late, {"escalation_id": "2"} | late)
    rows = waiting_of(stocked).select("interaction_id", "lot", "disagreement", "handoff").rows()
    assert rows == [("a", "audit", pytest.approx(0.7), None), ("b", "audit", None, 1.0)]


def test_copies_of_one_text_share_a_key(stocked):
    stocked.interactions("a", "b", text="hello")
    stocked.interactions("c")
    one, two, other = waiting_of(stocked)["copy_key"]
    assert one == two != other


def test_a_row_serves_the_oldest_request_that_still_lacks_cases(stocked):
    stocked.interactions("a", "b", "c", channel="phone")
    stocked.interactions("d", channel="chat")
    stocked.put(t.PREDICTIONS, said("b", "intent", "refund", margin=0.5), said("c", "intent", "refund", margin=0.5))
    asked = [("old", "label", "refund", 2), ("new", "channel", "phone", 5), ("met", "channel", "chat", 0)]
    rows = [
        {"request_id": name, "slice": part, "value": value, "cases_needed": needed}
        for name, part, value, needed in asked
    ]
    stocked.put(t.GATE_REQUESTS, *rows, task="intent", is_open=True)
    stocked.put(
        t.GATE_REQUESTS, rows[1] | {"asked_at": NOW + timedelta(1), "changed_at": NOW + timedelta(1)}, is_open=True
    )
    stocked.put(t.REVIEW_QUEUE, {"case_id": "1", "interaction_id": "c", "reason": "gate_request"})
    waiting, needed = read_waiting(stocked.tables, taxonomy=stocked.loop.settings.taxonomy, champion="2", previous=None)
    assert needed == (1, 5)
    assert waiting.select("interaction_id", "request").rows() == [("a", 1), ("b", 0), ("d", None)]


def test_only_the_open_lot_s_reviewed_labels_of_the_taxonomy_count_as_labelled(stocked):
    stocked.interactions("open", "rejected", "corrected", "retired", "unsure")
    stocked.interactions("audit", lot="audit", part="test")
    stocked.labels({"open": "unknown_charge", "rejected": "none_of_these", "retired": "fax", "unsure": "cannot_tell"})
    stocked.labels({"audit": "unknown_charge"})
    stocked.labels({"corrected": "unknown_charge"}, source="correction")
    labelled = labelled_of(stocked)
    assert labelled.select("interaction_id", "target").rows() == [("open", 1), ("rejected", -1)]
    assert labelled.columns == [*LABELLED, "text"]


def test_what_is_asked_for_are_the_open_lot_s_standing_cases_without_a_label(stocked):
    stocked.interactions("waits", "unsure", "answered", "withdrawn", "new")
    stocked.interactions("audit", lot="audit", part="test")
    names = ("waits", "unsure", "answered", "withdrawn", "audit")
    stocked.put(t.REVIEW_QUEUE, *({"case_id": name, "interaction_id": name} for name in names))
    stocked.put(t.REVIEW_TASKS, {"case_id": "withdrawn"}, state="withdrawn")
    stocked.labels({"answered": "unknown_charge", "unsure": "cannot_tell"})
    asked = read_asked(stocked.tables, labelled=labelled_of(stocked))
    assert asked.to_list() == ["text of unsure", "text of waits"]


def test_a_label_is_in_doubt_as_far_as_any_task_s_is_and_until_it_was_asked_again(stocked):
    stocked.interactions("a", "b")
    stocked.labels({"a": "unknown_charge", "b": "unknown_charge"})
    doubted = {"label": "neutral", "task": "sentiment", "source": "review", "suspicion": 0.9}
    stocked.put(t.LABELS, {"interaction_id": "a"} | doubted, {"interaction_id": "b"} | doubted)
    stocked.put(t.REVIEW_QUEUE, {"case_id": "1", "interaction_id": "b", "reason": "label_error"})
    assert labelled_of(stocked).select("interaction_id", "suspicion").rows() == [("a", 0.9), ("b", None)]


def test_gold_is_what_two_people_agree_on_and_nobody_disputes(stocked):
    answers = {"gold": "ana ben", "alone": "ana", "disputed": "ana ben", "unsure": "ana ben"}
    stocked.interactions(*answers)
    stocked.labels(dict.fromkeys(answers, "unknown_charge"))
    doubtful = {"interaction_id": "unsure", "confidence": 0.6, "settled_at": NOW + timedelta(1)}
    stocked.put(t.LABELS, doubtful, task="intent", label="unknown_charge", source="review")
    for name, people in answers.items():
        for person in people.split():
            label = "payment_failed" if (name, person) == ("disputed", "ben") else "unknown_charge"
            row = {"review_id": f"{name}-{person}", "interaction_id": name, "annotator_id": person, "label": label}
            stocked.put(t.REVIEWS, row, task="intent")
    stocked.put(t.REVIEW_QUEUE, {"case_id": "1", "interaction_id": "gold", "reason": "gold"})
    assert labelled_of(stocked).filter("is_gold").select("interaction_id", "gold_asked").rows() == [("gold", 1)]
