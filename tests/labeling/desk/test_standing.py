"""Where the review work stands, told from the tables."""

from datetime import UTC, datetime, timedelta

import pytest

from labeling import tables as t
from labeling.delta import Tables
from labeling.desk.standing import read_standing

NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)


@pytest.fixture
def tables(tmp_path):
    return Tables(tmp_path)


def queue(tables, name, reason, *, sent_hours_ago=None, state="sent", overlap=1):
    tables.merge(t.REVIEW_QUEUE, t.REVIEW_QUEUE.frame([{"case_id": name, "interaction_id": name, "reason": reason}]))
    if sent_hours_ago is not None:
        row = {"case_id": name, "state": state, "overlap": overlap, "sent_at": NOW - timedelta(hours=sent_hours_ago)}
        tables.merge(t.REVIEW_TASKS, t.REVIEW_TASKS.frame([row]))


def answer(tables, case, person, *, hours_ago=1, label: str | None = "refund"):
    row = {"review_id": f"{case}-{person}", "case_id": case, "annotator_id": person, "label": label}
    row |= {"answered_at": NOW - timedelta(hours=hours_ago), "unanswered": None if label else "skipped"}
    tables.merge(t.REVIEWS, t.REVIEWS.frame([row | {"task": task} for task in ("intent", "sentiment")]))


def test_an_empty_loop_waits_for_nothing(tables):
    standing = read_standing(tables, now=NOW)
    assert (standing.waiting, standing.unsent, standing.oldest_at, standing.by_person) == ({}, 0, None, {})
    assert list(standing.by_day.values()) == [0] * 7


def test_what_waits_is_counted_by_reason_with_the_age_of_the_oldest(tables):
    queue(tables, "a", "audit", sent_hours_ago=9)
    queue(tables, "b", "audit", sent_hours_ago=30, overlap=2)
    queue(tables, "c", "novelty", sent_hours_ago=5)
    queue(tables, "answered", "novelty", sent_hours_ago=50)
    queue(tables, "given up", "novelty", sent_hours_ago=70, overlap=0)
    queue(tables, "off", "novelty", sent_hours_ago=90, state="withdrawn")
    queue(tables, "picked", "novelty")
    answer(tables, "answered", "anna")
    answer(tables, "b", "anna")
    answer(tables, "c", "anna", label=None)
    standing = read_standing(tables, now=NOW)
    assert standing.waiting == {"audit": 2, "novelty": 1}
    assert standing.unsent == 1
    assert standing.oldest_at == NOW - timedelta(hours=30)


def test_answers_are_counted_by_day_and_by_person_once_each(tables):
    for number in range(3):
        answer(tables, f"c{number}", "anna")
    answer(tables, "c0", "ben")
    answer(tables, "c1", "ben", hours_ago=30)
    answer(tables, "c2", "ben", label=None)
    answer(tables, "c0", "carl", hours_ago=24 * 8)
    standing = read_standing(tables, now=NOW)
    assert standing.by_person == {"anna": 3, "ben": 1}
    assert list(standing.by_day.values()) == [0, 0, 0, 0, 0, 1, 4]
