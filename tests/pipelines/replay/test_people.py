"""Simulated people at the desk: each case as often as asked, never twice by one person, the same under one seed."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from labeling import tables as t
from labeling.config import load_config
from labeling.desk.desk import Case
from labeling.desk.fake import FakeReviewDesk
from labeling.errors import DeskRefused
from labeling.taxonomy import Taxonomy
from pipelines.replay.annotators import judge_handoff
from pipelines.replay.crowd import CaseAnswer, FakeCrowd
from pipelines.replay.feed import FeedRates, play_feed
from pipelines.replay.people import SimulatedPeople
from pipelines.replay.rates import DemoConfig

CONFIGS = Path(__file__).parents[3] / "configs"
TAXONOMY = load_config(CONFIGS / "taxonomy.yaml", Taxonomy)
RATES = load_config(CONFIGS / "demo.yaml", DemoConfig)
NOW = datetime(2026, 3, 9, tzinfo=UTC)
OVERLAPS = (1, 2, 2, 1, 3, 1, 2, 1)


@pytest.fixture
def messages():
    written = play_feed(5, NOW, rates=FeedRates(weeks=1, history=1, weekly=len(OVERLAPS))).weeks[0].messages
    return {message.interaction_id: message for message in written}


@pytest.fixture
def desk(tmp_path):
    desk = FakeReviewDesk(tmp_path / "desk")
    desk.open_project(TAXONOMY)
    return desk


@pytest.fixture
def waiting(desk, messages):
    """The messages' cases, sent to the desk: REVIEW_TASKS joined with REVIEW_QUEUE."""
    cases = [
        Case(f"case-{name}", name, (), {}, {}, "uncertainty", False, overlap)
        for name, overlap in zip(messages, OVERLAPS, strict=True)
    ]
    sent = [
        {
            "case_id": done.case_id,
            "interaction_id": case.interaction_id,
            "desk_task_id": done.desk_task_id,
            "overlap": case.overlap,
        }
        for case, done in zip(cases, desk.send(cases), strict=True)
    ]
    queue = t.REVIEW_QUEUE.frame([{"case_id": case.case_id} for case in cases])
    return t.REVIEW_TASKS.frame(sent).join(queue.drop("interaction_id"), on="case_id")


def people(desk, seed=1):
    return SimulatedPeople(RATES, TAXONOMY, seed=seed, crowd=lambda: FakeCrowd(desk, lambda: NOW))


def answers(desk):
    return sorted(
        (a.case_id, a.annotator_id, tuple(sorted(a.labels.items())), a.lead_seconds) for a in desk.fetch(None)
    )


def test_each_case_is_answered_by_as_many_people_as_asked(desk, waiting, messages):
    assert people(desk).answer_cases(waiting, messages, lambda _: None) == sum(OVERLAPS)
    found = answers(desk)
    asked = dict(waiting.select("case_id", "overlap").iter_rows())
    assert {case: len({who for name, who, *_ in found if name == case}) for case in asked} == asked


def test_answering_again_after_a_stop_adds_only_what_was_missing(desk, waiting, messages):
    half = people(desk).answer_cases(waiting.head(4), messages, lambda _: None)
    assert half == sum(OVERLAPS[:4])
    assert people(desk).answer_cases(waiting, messages, lambda _: None) == sum(OVERLAPS[4:])
    once = answers(desk)
    assert people(desk).answer_cases(waiting, messages, lambda _: None) == 0
    assert answers(desk) == once


def test_people_say_whether_a_person_should_take_over(desk, waiting, messages):
    people(desk).answer_cases(waiting, messages, lambda _: None)
    said = [answer.labels for answer in desk.fetch(None) if not answer.is_skipped]
    assert said
    for labels in said:
        assert labels["handoff"] == judge_handoff(labels["intent"], RATES.agents.needs_person)


@pytest.mark.parametrize(
    ("label", "answer"),
    [
        ("cancel_contract", "needed"),
        ("none_of_these", "needed"),
        ("change_plan", "not_needed"),
        ("cannot_tell", "cannot_tell"),
    ],
)
def test_a_person_is_needed_for_some_intents_and_outside_of_all(label, answer):
    assert judge_handoff(label, RATES.agents.needs_person) == answer


def test_what_people_say_follows_from_the_seed(desk, waiting, messages):
    def said(seed):
        return [people(desk, seed)._read(case, messages) for case in waiting.iter_rows(named=True)]

    assert said(1) == said(1)
    assert said(1) != said(2)


def test_a_crowd_gives_skips_and_answers_with_their_time(desk, waiting):
    first, second = waiting.head(2).select("case_id", "desk_task_id").iter_rows()
    given = [
        CaseAnswer(*first, "anna", {"sentiment": "neutral"}, 4.0),
        CaseAnswer(*second, "anna", None, 1.5),
    ]
    crowd = FakeCrowd(desk, lambda: NOW)
    assert crowd.give(given, lambda _: None) == 2
    assert crowd.give(given, lambda _: None) == 0
    found = {answer.case_id: answer for answer in desk.fetch(None)}
    assert found[first[0]].labels == {"sentiment": "neutral"}
    assert found[first[0]].answered_at == NOW
    assert found[second[0]].is_skipped
    assert found[second[0]].lead_seconds == 1.5


def test_an_answer_to_a_case_that_was_never_sent_is_refused(desk):
    with pytest.raises(DeskRefused, match="was never sent"):
        FakeCrowd(desk, lambda: NOW).give([CaseAnswer("case-x", "9", "anna", {}, None)], lambda _: None)
