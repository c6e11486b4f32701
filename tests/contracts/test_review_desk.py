"""What every review desk promises, asked of the fake and of a real Label Studio."""

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from labeling.errors import DeskRefused
from labeling.taxonomy import Taxonomy
from tests.contracts.desks import TAXONOMY, URGENCY, DeskHandle, FakeHandle, LabelStudioHandle, case

GOOD = {"intent": "card_blocked", "sentiment": "negative"}


@pytest.fixture(params=["fake", pytest.param("label_studio", marks=pytest.mark.label_studio)])
def handle(request: pytest.FixtureRequest, tmp_path: Path) -> DeskHandle:
    if request.param == "fake":
        return FakeHandle(tmp_path / "desk")
    return LabelStudioHandle(request.getfixturevalue("label_studio"), f"contract {uuid.uuid4().hex[:8]}")


def opened(handle: DeskHandle, taxonomy: Taxonomy = TAXONOMY):
    desk = handle.open()
    desk.open_project(taxonomy)
    return desk


def test_opening_twice_gives_the_same_project(handle: DeskHandle):
    assert handle.open().open_project(TAXONOMY) == handle.open().open_project(TAXONOMY)


def test_a_desk_without_a_project_says_what_to_do(handle: DeskHandle):
    desk = handle.open()
    for call in (
        lambda: desk.send([case(1)]),
        lambda: desk.fetch(None),
        desk.count_waiting,
        lambda: desk.remove(["x"]),
    ):
        with pytest.raises(DeskRefused, match="open_project"):
            call()


def test_cases_are_found_and_not_doubled(handle: DeskHandle):
    desk = opened(handle)
    first = desk.send([case(2), case(1), case(2)])
    again = opened(handle).send([case(3), case(1), case(2)])
    assert [sent.case_id for sent in first] == ["case-00002", "case-00001", "case-00002"]
    stands = {sent.case_id: sent.desk_task_id for sent in first}
    assert len(set(stands.values())) == 2
    assert [sent.desk_task_id for sent in again[1:]] == [stands["case-00001"], stands["case-00002"]]
    assert desk.count_waiting() == 3
    assert desk.send([]) == []


def test_an_answer_comes_back_as_given(handle: DeskHandle):
    desk = opened(handle)
    (sent,) = desk.send([case(1)])
    before = datetime.now(UTC)
    assert handle.answer(sent.desk_task_id, sent.case_id, "ann-1", GOOD)
    (answer,) = opened(handle).fetch(None)
    assert (answer.case_id, answer.interaction_id) == ("case-00001", "interaction-1")
    assert (answer.annotator_id, answer.labels, answer.refused) == ("ann-1", GOOD, {})
    assert answer.suggestions == {"intent": "card_lost", "sentiment": "neutral"}
    assert not answer.is_blind
    assert not answer.is_skipped
    assert before - timedelta(seconds=5) <= answer.answered_at <= datetime.now(UTC) + timedelta(seconds=5)
    assert answer.answered_at.utcoffset() == timedelta(0)
    assert answer.lead_seconds == 2.5
    assert desk.count_waiting() == 0


def test_a_blind_case_carries_no_suggestion(handle: DeskHandle):
    desk = opened(handle)
    (sent,) = desk.send([case(1, blind=True)])
    handle.answer(sent.desk_task_id, sent.case_id, "ann-1", GOOD)
    (answer,) = desk.fetch(None)
    assert answer.is_blind
    assert answer.suggestions == {}


def test_a_suggestion_that_the_page_lacks_is_not_shown(handle: DeskHandle):
    desk = opened(handle)
    gone = {"intent": case(1).suggestions["sentiment"], "sentiment": case(1).suggestions["sentiment"]}
    (sent,) = desk.send([case(1, suggestions=gone)])
    handle.answer(sent.desk_task_id, sent.case_id, "ann-1", GOOD)
    assert desk.fetch(None)[0].suggestions == {"sentiment": "neutral"}


def test_a_skip_is_reported_and_the_case_goes_on_waiting(handle: DeskHandle):
    desk = opened(handle)
    (sent,) = desk.send([case(1)])
    handle.answer(sent.desk_task_id, sent.case_id, "ann-1", None)
    (answer,) = desk.fetch(None)
    assert answer.is_skipped
    assert (answer.labels, answer.refused) == ({}, {})
    assert desk.count_waiting() == 1
    handle.answer(sent.desk_task_id, sent.case_id, "ann-2", GOOD)
    assert desk.count_waiting() == 0
    assert [answer.is_skipped for answer in desk.fetch(None)] == [True, False]


def test_a_partial_answer_lacks_the_task(handle: DeskHandle):
    desk = opened(handle)
    (sent,) = desk.send([case(1)])
    handle.answer(sent.desk_task_id, sent.case_id, "ann-1", {"sentiment": "positive"})
    (answer,) = desk.fetch(None)
    assert answer.labels == {"sentiment": "positive"}
    assert answer.refused == {}


def test_reserved_answers_are_answers(handle: DeskHandle):
    desk = opened(handle)
    (sent,) = desk.send([case(1)])
    given = {"intent": "none_of_these", "sentiment": "cannot_tell"}
    handle.answer(sent.desk_task_id, sent.case_id, "ann-1", given)
    assert desk.fetch(None)[0].labels == given


def test_unknown_labels_are_refused_and_the_rest_is_kept(handle: DeskHandle):
    desk = opened(handle)
    (sent,) = desk.send([case(1)])
    wrong = {"intent": "card_stolen by John Doe", "sentiment": "negative", "Jane Roe": "x", "mood": "sad"}
    handle.answer(sent.desk_task_id, sent.case_id, "ann-1", wrong)
    (answer,) = desk.fetch(None)
    assert answer.labels == {"sentiment": "negative"}
    assert answer.refused == {"intent": "unknown_label", "unreadable": "unknown_task", "mood": "unknown_task"}


def test_overlap_waits_for_different_annotators(handle: DeskHandle):
    desk = opened(handle)
    double, single = desk.send([case(1, overlap=2), case(2)])
    assert handle.answer(double.desk_task_id, double.case_id, "ann-1", GOOD)
    assert not handle.answer(double.desk_task_id, double.case_id, "ann-1", {"intent": "card_new"})
    handle.answer(single.desk_task_id, single.case_id, "ann-1", GOOD)
    assert desk.count_waiting() == 1
    handle.answer(double.desk_task_id, double.case_id, "ann-2", {"intent": "card_new"})
    assert desk.count_waiting() == 0
    answers = [answer for answer in desk.fetch(None) if answer.case_id == double.case_id]
    assert [(answer.annotator_id, answer.labels["intent"]) for answer in answers] == [
        ("ann-1", "card_blocked"),
        ("ann-2", "card_new"),
    ]
    assert len({answer.answer_id for answer in answers}) == 2


def test_an_overlap_raised_later_asks_for_more_people(handle: DeskHandle):
    desk = opened(handle)
    (sent,) = desk.send([case(1)])
    handle.answer(sent.desk_task_id, sent.case_id, "ann-1", GOOD)
    assert desk.count_waiting() == 0
    desk.send([case(1, overlap=2)])
    assert desk.count_waiting() == 1


def test_fetching_since_gives_what_is_new_or_changed(handle: DeskHandle):
    desk = opened(handle)
    sent = desk.send([case(number) for number in range(4)])
    for one in sent[:2]:
        handle.answer(one.desk_task_id, one.case_id, "ann-1", GOOD)
    first = desk.fetch(None)
    newest = max(answer.answered_at for answer in first)
    handle.answer(sent[2].desk_task_id, sent[2].case_id, "ann-1", GOOD)
    handle.change(sent[0].desk_task_id, sent[0].case_id, "ann-1", {"intent": "fee_dispute"})
    later = desk.fetch(newest + timedelta(microseconds=1))
    assert [answer.case_id for answer in later] == ["case-00002", "case-00000"]
    assert later[1].labels == {"intent": "fee_dispute"}
    assert later[1].answer_id in {answer.answer_id for answer in first}
    assert [answer.case_id for answer in desk.fetch(newest)] == ["case-00001", "case-00002", "case-00000"]
    assert desk.fetch(datetime.now(UTC) + timedelta(hours=1)) == []


def test_a_task_added_and_a_label_retired_while_cases_wait(handle: DeskHandle):
    desk = opened(handle)
    (sent,) = desk.send([case(1)])
    handle.answer(sent.desk_task_id, sent.case_id, "ann-1", GOOD)
    intent = TAXONOMY.tasks[0]
    fewer = intent.model_copy(update={"labels": tuple(one for one in intent.labels if one.name != "card_blocked")})
    changed = TAXONOMY.model_copy(update={"version": 2, "tasks": (fewer, TAXONOMY.tasks[1], URGENCY)})
    other = opened(handle, changed)
    assert [(answer.labels, answer.refused) for answer in other.fetch(None)] == [
        ({"sentiment": "negative"}, {"intent": "unknown_label"})
    ]
    handle.answer(sent.desk_task_id, sent.case_id, "ann-2", {"intent": "card_new", "urgency": "today"})
    assert other.fetch(None)[1].labels == {"intent": "card_new", "urgency": "today"}


def test_a_deleted_project_is_noticed_and_made_again(handle: DeskHandle):
    desk = opened(handle)
    (sent,) = desk.send([case(1)])
    handle.answer(sent.desk_task_id, sent.case_id, "ann-1", GOOD)
    handle.delete_project(sent.project_id)
    gone = (lambda: desk.send([case(2)]), lambda: desk.fetch(None), desk.count_waiting, lambda: desk.remove([]))
    for call in gone:
        with pytest.raises(DeskRefused, match="open it again"):
            call()
    assert desk.open_project(TAXONOMY) != sent.project_id
    assert desk.fetch(None) == []
    (new,) = desk.send([case(1)])
    assert handle.answer(new.desk_task_id, new.case_id, "ann-1", GOOD)
    assert [answer.labels for answer in desk.fetch(None)] == [GOOD]


def test_removed_cases_are_gone_with_their_answers_and_the_others_stay(handle: DeskHandle):
    desk = opened(handle)
    sent = desk.send([case(number) for number in range(4)])
    for one in sent[:3]:
        handle.answer(one.desk_task_id, one.case_id, "ann-1", GOOD)
    assert desk.remove(["case-00000", "case-00003", "case-00003", "case-of-nobody", 'quoted "case", too']) == 2
    assert [answer.case_id for answer in opened(handle).fetch(None)] == ["case-00001", "case-00002"]
    assert desk.count_waiting() == 0
    assert desk.remove(["case-00000", "case-00003"]) == 0
    assert desk.remove([]) == 0


def test_a_removed_case_that_is_sent_again_is_a_new_one(handle: DeskHandle):
    desk = opened(handle)
    (sent,) = desk.send([case(1)])
    handle.answer(sent.desk_task_id, sent.case_id, "ann-1", GOOD)
    assert desk.remove([sent.case_id]) == 1
    (again,) = desk.send([case(1)])
    assert desk.fetch(None) == []
    assert desk.count_waiting() == 1
    assert handle.answer(again.desk_task_id, again.case_id, "ann-1", {"intent": "card_new"})
    assert [answer.labels for answer in desk.fetch(None)] == [{"intent": "card_new"}]
