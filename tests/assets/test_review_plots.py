"""The pictures of the review: what they count, and that they are pictures whatever there is."""

from datetime import timedelta

import numpy as np
import pytest

from assets.review_plots import (
    answers_a_day,
    as_markdown,
    count_ages,
    render_ages,
    render_agreement,
    render_days,
    render_reasons,
    waiting_cases,
)
from labeling import tables as t
from labeling.quality.agreement import Agreement
from tests.assets.conftest import NOW

DAY = timedelta(days=1)


def queue(ages):
    rows = [{"case_id": f"c{n}", "interaction_id": f"i{n}", "picked_at": NOW - age * DAY} for n, age in enumerate(ages)]
    return t.REVIEW_QUEUE.frame(
        [row | {"reason": "audit" if age < 2 else "novelty"} for row, age in zip(rows, ages, strict=True)]
    )


def answers(*rows):
    return t.REVIEWS.frame([{"review_id": f"r{n}", "answered_at": NOW} | row for n, row in enumerate(rows)])


def test_a_case_waits_until_it_is_answered_or_withdrawn():
    picked = queue([0, 0, 0, 0])
    said = answers(
        {"case_id": "c0", "interaction_id": "i0", "label": "x"},
        {"interaction_id": "i1", "label": "x"},
        {"case_id": "c2", "interaction_id": "i2", "unanswered": "skipped"},
    )
    gone = t.REVIEW_TASKS.frame([{"case_id": "c3", "state": "withdrawn"}])
    assert waiting_cases(picked, said, gone)["case_id"].to_list() == ["c2"]


def test_ages_are_counted_from_when_a_case_was_picked():
    counts = count_ages(queue([0.5, 1, 2.9, 8, 14, 40]), now=NOW)
    assert list(counts.values()) == [1, 2, 0, 1, 2]


def test_an_answer_of_several_tasks_is_one_and_days_without_any_stand_too():
    rows = [
        {"review_id": "a", "task": "intent", "label": "x", "answered_at": NOW - 2 * DAY},
        {"review_id": "a", "task": "sentiment", "label": "y", "answered_at": NOW - 2 * DAY},
        {"review_id": "b", "task": "intent", "unanswered": "skipped"},
        {"review_id": "old", "task": "intent", "label": "x", "answered_at": NOW - 90 * DAY},
    ]
    found = answers_a_day(answers(*rows), now=NOW)
    assert found.select("answers", "skips").rows() == [(1, 0), (0, 0), (0, 1)]


@pytest.mark.parametrize("ages", [[], [0, 3, 9]])
def test_every_picture_is_drawn_whatever_there_is(ages):
    waiting = queue(ages)
    said = answers(*({"label": "x"} for _ in ages))
    found = [Agreement("intent", 0.7, 0.6, 0.8, 40), Agreement("sentiment", np.nan, np.nan, np.nan, 0)] if ages else []
    drawn = [
        render_reasons(waiting),
        render_ages(waiting, now=NOW),
        render_days(said, now=NOW),
        render_agreement(found),
    ]
    assert all(svg.startswith('<svg role="img" aria-label="') for svg in drawn)
    assert as_markdown(drawn[0], "reasons").startswith("![reasons](data:image/svg+xml;base64,")
