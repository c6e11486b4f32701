"""Cases go out to people and their answers come back, through the assets."""

from datetime import timedelta

import polars as pl
import pytest

from assets.desk import review_tasks, reviews
from assets.resources import FAKE_DESK
from labeling import tables as t
from labeling.desk.desk import NOTE
from labeling.desk.fake import FakeReviewDesk
from tests.assets.conftest import NOW
from training.registry.standing import DECISION

ANSWER = {"intent": "lost_phone", "sentiment": "negative", "handoff": "needed"}


@pytest.fixture
def desk(stocked):
    return FakeReviewDesk(stocked.home.path / FAKE_DESK)


def queue(stocked, *names, **common):
    stocked.interactions(*names)
    rows = [{"case_id": name, "interaction_id": name} for name in names]
    stocked.put(t.REVIEW_QUEUE, *rows, **{"reason": "audit", "blind": True, "overlap": 1} | common)


def test_with_nothing_queued_the_desk_is_not_asked(stocked):
    assert stocked.make(review_tasks)["review_tasks"] == {"sent": 0, "waiting": 0}
    assert stocked.make(reviews)["reviews"].get("answers") is None


def test_cases_go_out_once_and_answers_come_back_redacted(stocked, desk):
    queue(stocked, "a", "b")
    sent = stocked.make(review_tasks)["review_tasks"]
    assert (sent["sent"], sent["waiting"], sent["answered"]) == (2, 2, 0)
    desk.answer("a", "anna", ANSWER | {NOTE: "write to jo@example.org"}, NOW)
    desk.answer("b", "anna", None, NOW)
    came = stocked.make(reviews)["reviews"]
    assert (came["answers"], came["skipped"], came["refused"], came["withdrawn"]) == (5, 1, 0, 0)
    rows = stocked.tables.read(t.REVIEWS)
    assert rows["note"].drop_nulls().to_list() == ["write to <EMAIL>"]
    assert rows.filter(pl.col("case_id") == "a")["task"].sort().to_list() == ["handoff", "intent", "sentiment"]
    again = stocked.make(review_tasks)["review_tasks"]
    assert (again["sent"], again["waiting"], again["answered"], again["skipped"]) == (0, 1, 1, 1)


def test_three_skips_are_a_case_without_an_answer(stocked, desk):
    queue(stocked, "a", "b")
    stocked.make(review_tasks)
    desk.answer("b", "anna", ANSWER, NOW)
    for person in ("anna", "ben", "carl"):
        desk.answer("a", person, None, NOW)
    stocked.make(reviews)
    made = stocked.make(review_tasks)["review_tasks"]
    assert (made["waiting"], made["non_response"]) == (0, 0.5)


def test_two_who_disagree_get_a_third_opinion(stocked, desk):
    queue(stocked, "a", overlap=2)
    stocked.make(review_tasks)
    desk.answer("a", "anna", ANSWER, NOW)
    stocked.make(reviews)
    assert stocked.make(review_tasks)["review_tasks"]["waiting"] == 1
    desk.answer("a", "ben", ANSWER | {"sentiment": "neutral"}, NOW + timedelta(hours=1))
    stocked.make(reviews)
    made = stocked.make(review_tasks)["review_tasks"]
    assert (made["third_opinions"], made["waiting"]) == (1, 1)


def test_an_answer_deleted_at_the_desk_is_withdrawn_and_the_case_waits_again(stocked, desk):
    queue(stocked, "a")
    stocked.make(review_tasks)
    desk.answer("a", "anna", ANSWER, NOW)
    stocked.make(reviews)
    desk.delete_answer("a", "anna", NOW + timedelta(hours=1))
    assert stocked.make(reviews)["reviews"]["withdrawn"] == 1
    assert stocked.tables.read(t.REVIEWS)["label"].drop_nulls().is_empty()
    assert stocked.make(review_tasks)["review_tasks"]["waiting"] == 1


def test_cases_of_a_deleted_project_go_again_but_those_that_were_read(stocked, desk):
    queue(stocked, "a", "b")
    stocked.make(review_tasks)
    desk.answer("a", "anna", ANSWER, NOW)
    stocked.make(reviews)
    desk.delete_project()
    stocked.make(reviews)
    assert stocked.make(review_tasks)["review_tasks"]["sent"] == 1
    assert desk.open_project(stocked.loop.settings.taxonomy)
    assert desk.list_cases().keys() == {"b"}
    assert stocked.tables.read(t.REVIEWS)["label"].drop_nulls().len() == 3


def test_stale_cases_come_off_the_desk(stocked, desk):
    queue(stocked, "a", "b", reason="uncertainty", blind=False, champion="1")
    stocked.make(review_tasks)
    desk.answer("a", "anna", ANSWER, NOW)
    stocked.loop.open_ledger().append(
        DECISION, {"decision": "approve", "version": "2", "champion_before": "1", "champion_after": "2"}, at=NOW
    )
    made = stocked.make(review_tasks)["review_tasks"]
    assert (made["withdrawn"], made["waiting"]) == (1, 0)
    assert desk.open_project(stocked.loop.settings.taxonomy)
    assert desk.list_cases().keys() == {"a"}
