from datetime import timedelta

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling import tables as t
from labeling.selection.budget import Budget, count_people, measure_budget
from labeling.selection.stale import stale_cases
from tests.labeling.selection.pools import NOW, policy


def queue(*cases: tuple[str, int, str | None]) -> pl.DataFrame:
    """Reason, age in hours and champion of each case; the cases are named by their place."""
    rows = [
        {
            "case_id": str(place),
            "interaction_id": f"i{place}",
            "reason": reason,
            "picked_at": NOW - timedelta(hours=hours),
            "champion": champion,
        }
        for place, (reason, hours, champion) in enumerate(cases)
    ]
    return t.REVIEW_QUEUE.frame(rows)


def names(*found: str) -> pl.Series:
    return pl.Series("case_id", found, dtype=pl.String)


def left(cases, *, people=9, stale=(), withdrawn=(), champion="2", **change) -> Budget:
    return measure_budget(
        cases,
        policy=policy(**change),
        people=people,
        stale=names(*stale),
        withdrawn=names(*withdrawn),
        champion=champion,
        now=NOW,
    )


def test_the_budget_of_a_day_is_what_the_last_24_hours_left():
    cases = queue(("uncertainty", 1, "2"), ("gold", 23, "2"), ("uncertainty", 25, "2"), ("audit", 1, "2"))
    assert left(cases, budget=5).cases == 3
    assert left(cases, budget=1).cases == 0


def test_a_day_asks_no_person_for_more_than_the_cap():
    assert left(queue(), budget=100, cap_per_person=30, people=2) == Budget(60, 2, True, 0)
    assert left(queue(), budget=50, cap_per_person=30, people=2) == Budget(50, 2, False, 0)


def test_people_are_those_who_gave_a_label_in_the_last_seven_days_and_at_least_one():
    rows = [("ana", 1, "x"), ("ana", 2, "x"), ("ben", 6, "x"), ("old", 8, "x"), ("skips", 1, None)]
    answers = t.REVIEWS.frame(
        [{"annotator_id": who, "answered_at": NOW - timedelta(days=days), "label": label} for who, days, label in rows]
    )
    assert count_people(answers, now=NOW) == 2
    assert count_people(answers[:0], now=NOW) == 1


def test_what_was_withdrawn_or_is_stale_frees_its_place():
    cases = queue(("uncertainty", 3, "1"), ("uncertainty", 2, "1"), ("uncertainty", 1, "2"))
    assert left(cases, budget=5, stale=["0"], withdrawn=["1"]).cases == 4


def test_stale_cases_of_earlier_days_are_given_out_again_once():
    old = [("uncertainty", 50, "1"), ("typical", 30, None)]
    assert left(queue(*old), budget=5, stale=["0", "1"]) == Budget(7, 9, False, 2)
    assert left(queue(*old, ("uncertainty", 1, "2")), budget=5, stale=["0", "1"]) == Budget(4, 9, False, 0)
    rolled_back = queue(("uncertainty", 90, "2"), *old)
    assert left(rolled_back, budget=5, stale=["1", "2"]).given_back == 2


def test_unanswered_cases_that_another_champion_ranked_are_stale():
    ranked = [(reason, 1, "1") for reason in ("uncertainty", "typical", "novelty", "disagreement", "gate_request")]
    unranked = [(reason, 1, "1") for reason in ("audit", "uniform", "gold", "handoff", "label_error")]
    cases = queue(*ranked, *unranked, ("uncertainty", 1, "2"), ("typical", 1, None))
    assert find_stale(cases) == ["0", "1", "11", "2", "3", "4"]
    assert find_stale(cases, champion=None) == []


def test_a_case_with_any_answer_or_withdrawn_before_is_not_stale():
    cases = queue(*[("uncertainty", 1, "1")] * 5)
    reviews = t.REVIEWS.frame(
        [
            {"interaction_id": "i0", "case_id": "0", "label": "x"},
            {"interaction_id": "i1", "case_id": "1", "unanswered": "skipped"},
            {"interaction_id": "i2", "label": "x"},
            {"interaction_id": "i3", "case_id": "another", "label": "x"},
        ]
    )
    tasks = t.REVIEW_TASKS.frame([{"case_id": "4", "state": "withdrawn"}, {"case_id": "3", "state": "sent"}])
    assert find_stale(cases, tasks, reviews) == ["3"]


def find_stale(cases, tasks=None, reviews=None, champion="2") -> list[str]:
    tasks = t.REVIEW_TASKS.empty() if tasks is None else tasks
    reviews = t.REVIEWS.empty() if reviews is None else reviews
    return stale_cases(cases, tasks, reviews, champion=champion).to_list()


@settings(max_examples=50, deadline=None)
@given(
    ages=st.lists(st.tuples(st.integers(0, 60), st.sampled_from(["1", "2", None])), max_size=12),
    budget=st.integers(0, 8),
    cap=st.integers(1, 4),
    people=st.integers(1, 3),
)
def test_no_more_stand_open_than_the_days_allow_however_often_champions_change(ages, budget, cap, people):
    cases = queue(*[("uncertainty", hours, champion) for hours, champion in ages])
    stale = find_stale(cases)
    found = left(cases, stale=stale, budget=budget, cap_per_person=cap, people=people)
    valid_today = sum(hours < 24 and champion == "2" for hours, champion in ages)
    assert 0 <= found.given_back <= len(stale)
    assert found.cases - found.given_back <= max(0, min(budget, cap * people) - valid_today)
