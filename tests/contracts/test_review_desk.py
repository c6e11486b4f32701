"""What every review desk promises, asked of the fake and of a real Label Studio."""

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from labeling.desk.desk import NOTE, SECOND
from labeling.desk.server import RunningServer
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
        lambda: desk.list_answers(datetime.now(UTC)),
        lambda: desk.ask_again({"x": 2}),
        desk.count_cases,
        desk.list_cases,
        lambda: desk.withdraw(["x"]),
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
    gone = (
        lambda: desk.send([case(2)]),
        lambda: desk.fetch(None),
        desk.count_waiting,
        lambda: desk.remove([]),
        lambda: desk.list_answers(datetime.now(UTC)),
        lambda: desk.ask_again({"case-00001": 2}),
        desk.count_cases,
        desk.list_cases,
        lambda: desk.withdraw(["case-00001"]),
    )
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


def test_everything_that_the_page_asks_comes_back(handle: DeskHandle):
    desk = opened(handle)
    (sent,) = desk.send([case(1, history=("2026-05-01 chat: card_lost, resolved",), handed_off=True)])
    given = GOOD | {"handoff": "not_needed", f"intent{SECOND}": "fee_dispute", NOTE: " Asks twice, Ms Roe does. "}
    handle.answer(sent.desk_task_id, sent.case_id, "ann-1", given)
    (answer,) = desk.fetch(None)
    assert answer.labels == GOOD | {"handoff": "not_needed"}
    assert answer.second_labels == {"intent": "fee_dispute"}
    assert answer.note == "Asks twice, Ms Roe does."
    assert answer.refused == {}


def test_a_second_label_that_is_the_first_or_unknown_does_not_count(handle: DeskHandle):
    desk = opened(handle)
    sent = desk.send([case(1), case(2)])
    for one, second in zip(sent, ("card_blocked", "no such label, John"), strict=True):
        handle.answer(one.desk_task_id, one.case_id, "ann-1", GOOD | {f"intent{SECOND}": second})
    answers = desk.fetch(None)
    assert [(answer.labels, answer.second_labels, answer.note) for answer in answers] == [(GOOD, {}, "")] * 2
    assert "John" not in str([answer.refused for answer in answers])


def test_answers_of_what_was_touched_are_listed_and_one_that_is_missing_was_deleted(handle: DeskHandle):
    desk = opened(handle)
    sent = desk.send([case(number, overlap=2) for number in range(3)])
    for one in sent[:2]:
        handle.answer(one.desk_task_id, one.case_id, "ann-1", GOOD)
    handle.answer(sent[0].desk_task_id, sent[0].case_id, "ann-2", None)
    first = desk.fetch(None)
    ids = {(answer.case_id, answer.annotator_id): answer.answer_id for answer in first}
    assert desk.list_answers(first[0].answered_at) == {
        "case-00000": {ids["case-00000", "ann-1"], ids["case-00000", "ann-2"]},
        "case-00001": {ids["case-00001", "ann-1"]},
    }
    since = first[-1].answered_at + timedelta(microseconds=1)
    handle.delete_answer(sent[0].desk_task_id, sent[0].case_id, "ann-1")
    handle.delete_answer(sent[1].desk_task_id, sent[1].case_id, "ann-1")
    assert desk.list_answers(since) == {"case-00000": {ids["case-00000", "ann-2"]}, "case-00001": frozenset()}
    assert desk.fetch(since) == []
    assert desk.list_answers(datetime.now(UTC) + timedelta(hours=1)) == {}


def test_cases_are_asked_again_and_ended(handle: DeskHandle):
    desk = opened(handle)
    sent = desk.send([case(number) for number in range(3)])
    handle.answer(sent[0].desk_task_id, sent[0].case_id, "ann-1", GOOD)
    desk.ask_again({"case-00000": 2, "case-00001": 0, "case-of-nobody": 3})
    assert desk.count_waiting() == 2
    opened(handle).send([case(0), case(1)])
    assert desk.count_waiting() >= 2, "what is sent again never asks for less"
    handle.answer(sent[0].desk_task_id, sent[0].case_id, "ann-2", GOOD)
    desk.ask_again({"case-00001": 0, "case-00002": 0})
    assert desk.count_waiting() == 0
    desk.ask_again({})


def test_cases_at_the_desk_are_counted_and_listed(handle: DeskHandle):
    desk = opened(handle)
    assert (desk.count_cases(), desk.list_cases()) == (0, {})
    sent = desk.send([case(number) for number in range(3)])
    handle.answer(sent[0].desk_task_id, sent[0].case_id, "ann-1", GOOD)
    handle.delete_case(sent[2].desk_task_id, sent[2].case_id)
    assert (desk.count_cases(), desk.list_cases()) == (2, {one.case_id: one.desk_task_id for one in sent[:2]})


def test_only_what_nobody_touched_is_withdrawn(handle: DeskHandle):
    desk = opened(handle)
    sent = desk.send([case(number) for number in range(4)])
    handle.answer(sent[0].desk_task_id, sent[0].case_id, "ann-1", GOOD)
    handle.answer(sent[1].desk_task_id, sent[1].case_id, "ann-1", None)
    asked = ["case-00000", "case-00001", "case-00002", "case-of-nobody", "case-00002"]
    assert desk.withdraw(asked) == {"case-00000", "case-00001"}
    assert desk.list_cases().keys() == {"case-00000", "case-00001", "case-00003"}
    assert desk.withdraw([]) == set()
    (again,) = desk.send([case(2)])
    assert handle.answer(again.desk_task_id, again.case_id, "ann-1", GOOD)


def test_a_skip_taken_back_is_an_answer(handle: DeskHandle):
    desk = opened(handle)
    (sent,) = desk.send([case(1)])
    handle.answer(sent.desk_task_id, sent.case_id, "ann-1", None)
    (skip,) = desk.fetch(None)
    handle.change(sent.desk_task_id, sent.case_id, "ann-1", GOOD)
    (answer,) = desk.fetch(None)
    assert (answer.answer_id, answer.is_skipped, answer.labels) == (skip.answer_id, False, GOOD)
    assert answer.answered_at > skip.answered_at


@pytest.mark.label_studio
def test_a_skipped_case_is_offered_to_another_person_at_once(label_studio: RunningServer):
    handle = LabelStudioHandle(label_studio, f"contract {uuid.uuid4().hex[:8]}")
    (sent,) = opened(handle).send([case(1)])
    handle.answer(sent.desk_task_id, sent.case_id, "ann-1", None)
    assert handle.offered(sent.project_id, "ann-1") is None
    assert handle.offered(sent.project_id, "ann-2") == "case-00001"
