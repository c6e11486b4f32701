"""A case is asked of one person, of as many as planned, of a third where two disagree, of nobody after three skips."""

from datetime import UTC, datetime

import polars as pl
import pytest

from labeling import tables as t
from labeling.desk.asking import count_answers, find_unasked, share_unanswered

NOW = datetime(2026, 3, 9, tzinfo=UTC)
TASKS = ("intent", "sentiment")


def said(*intents, case="c", task="intent"):
    """One answer a person to one case; None is a skip."""
    rows = [
        {
            "review_id": f"{case}-{number}",
            "case_id": case,
            "task": task,
            "label": label,
            "unanswered": None if label else "skipped",
        }
        for number, label in enumerate(intents)
    ]
    return t.REVIEWS.frame(rows)


def wanted(reviews, *, planned=1, asked=1):
    """The number of answers that the desk should ask for, None where it does already."""
    tasks = t.REVIEW_TASKS.frame([{"case_id": "c", "overlap": asked, "state": "sent"}])
    queue = t.REVIEW_QUEUE.frame([{"case_id": "c", "overlap": planned}])
    return next(iter(find_unasked(tasks, queue, count_answers(reviews, tasks=TASKS))["overlap"]), None)


@pytest.mark.parametrize(
    ("answers", "planned", "asked", "expected"),
    [
        (["refund"], 1, 1, None),
        (["refund"], 2, 1, 2),
        (["refund"], 2, 2, None),
        (["refund", "refund"], 2, 2, None),
        (["refund", "billing"], 2, 2, 3),
        (["refund", "billing"], 1, 1, 3),
        (["refund", "billing", "refund"], 2, 3, None),
        (["refund", "cannot_tell"], 2, 2, None),
        (["refund", "refund"], 2, 3, 2),
        ([None], 1, 1, None),
        ([None, None, "refund"], 2, 1, 2),
        ([None, None, None], 1, 1, 0),
        ([None, None, None, "refund"], 2, 1, None),
        ([None, None, None], 1, 0, None),
        ([None, None, None, "refund"], 1, 0, 1),
    ],
)
def test_how_many_answers_a_case_needs_follows_from_those_that_it_has(answers, planned, asked, expected):
    assert wanted(said(*answers), planned=planned, asked=asked) == expected


def test_people_disagree_in_any_task_of_the_taxonomy_but_not_in_the_handoff():
    agreed = said("refund", "refund")
    assert wanted(pl.concat([agreed, said("negative", "neutral", task="sentiment")]), planned=2, asked=2) == 3
    assert wanted(pl.concat([agreed, said("needed", "not_needed", task="handoff")]), planned=2, asked=2) is None


def test_withdrawn_answers_and_answers_from_files_count_for_nothing():
    gone = said("refund", "billing").with_columns(unanswered=pl.lit("withdrawn"), label=pl.lit(None, pl.String))
    unnamed = said("refund", "billing").with_columns(case_id=pl.lit(None, pl.String))
    assert count_answers(pl.concat([gone, unnamed]), tasks=TASKS).is_empty()


def test_the_share_without_an_answer_counts_cases_that_ended():
    given = [said("refund", case="a"), said(None, None, None, case="b"), said(None, case="still waiting")]
    assert share_unanswered(count_answers(pl.concat(given), tasks=TASKS)) == 0.5
    assert share_unanswered(count_answers(said(), tasks=TASKS)) == 0
