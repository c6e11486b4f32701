"""The agents: as attentive and as wrong as stated, the same under any order, and in the shape of arriving events."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from labeling.config import load_config
from labeling.sources.table_map import event_columns
from labeling.tables import CORRECTIONS, ESCALATIONS, PREDICTIONS
from labeling.taxonomy import Taxonomy
from pipelines.replay.agents import AgentRates, correct_predictions, escalate_conversations
from pipelines.replay.feed import FeedRates, Message, play_feed
from pipelines.replay.rates import DemoConfig

CONFIGS = Path(__file__).parents[3] / "configs"
TAXONOMY = load_config(CONFIGS / "taxonomy.yaml", Taxonomy)
RATES = load_config(CONFIGS / "demo.yaml", DemoConfig).agents
START = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def messages() -> tuple[Message, ...]:
    return play_feed(5, START, rates=FeedRates(weeks=1, history=1, weekly=2000)).weeks[0].messages


def predict(messages: tuple[Message, ...], *, right: bool, handoff: bool = False) -> pl.DataFrame:
    """Return predictions that are all right or all wrong."""
    rows = []
    for message in messages:
        for task in TAXONOMY.tasks:
            truth = message.truth[task.name]
            wrong = next(name for name in task.trainable if name != truth)
            rows.append(
                {
                    "interaction_id": message.interaction_id,
                    "task": task.name,
                    "label": truth if right else wrong,
                    "confidence": 0.8,
                    "model_version": "1",
                    "shown": True,
                    "handoff": handoff,
                }
            )
    return PREDICTIONS.frame(rows)


def correct(messages: tuple[Message, ...], said: pl.DataFrame, rates: AgentRates = RATES, seed: int = 1) -> list[Any]:
    return correct_predictions(messages, said, taxonomy=TAXONOMY, rates=rates, seed=seed)


def escalate(messages: tuple[Message, ...], said: pl.DataFrame, rates: AgentRates = RATES, seed: int = 1) -> list[Any]:
    return escalate_conversations(messages, said, taxonomy=TAXONOMY, rates=rates, seed=seed)


def truths(messages: tuple[Message, ...]) -> dict[str, Any]:
    return {message.interaction_id: message.truth for message in messages}


@pytest.mark.parametrize("handoff", [False, True])
def test_wrong_answers_are_noticed_as_often_as_stated(messages: tuple[Message, ...], handoff: bool) -> None:
    stated = RATES.notices_in_handoff if handoff else RATES.notices
    events = correct(messages, predict(messages, right=False, handoff=handoff))
    for task, share in stated.items():
        found = sum(event["task"] == task for event in events) / len(messages)
        assert found == pytest.approx(share, abs=0.05), task


def test_corrections_are_wrong_as_often_as_stated(messages: tuple[Message, ...]) -> None:
    events = [event for event in correct(messages, predict(messages, right=False)) if event["task"] == "intent"]
    truth = truths(messages)
    wrong = sum(event["label"] != truth[event["interaction_id"]]["intent"] for event in events) / len(events)
    assert wrong == pytest.approx(RATES.wrong, abs=0.03)
    assert all(event["label"] != event["previous_label"] for event in events)


def test_right_answers_are_corrected_only_needlessly(messages: tuple[Message, ...]) -> None:
    said = predict(messages, right=True)
    assert correct(messages, said, RATES.model_copy(update={"needless": 0.0})) == []
    events = correct(messages, said, RATES.model_copy(update={"needless": 0.1}))
    assert len(events) / said.height == pytest.approx(0.1, abs=0.02)
    truth = truths(messages)
    assert all(event["label"] != truth[event["interaction_id"]][event["task"]] for event in events)


def test_nothing_hangs_on_the_order_or_on_other_messages(messages: tuple[Message, ...]) -> None:
    said = predict(messages, right=False)
    events = correct(messages, said)
    half = messages[::-2]
    kept = {message.interaction_id for message in half}
    again = correct(half, said.sample(fraction=1.0, shuffle=True, seed=1))
    assert sorted(event["correction_id"] for event in again) == sorted(
        event["correction_id"] for event in events if event["interaction_id"] in kept
    )
    assert escalate(messages[::-1], said) == escalate(messages, said)
    assert correct(messages, said, seed=2) != events
    assert escalate(messages, said, seed=2) != escalate(messages, said)


def test_events_have_the_columns_and_times_of_arriving_ones(messages: tuple[Message, ...]) -> None:
    said = predict(messages, right=False)
    at = {message.interaction_id: message.occurred_at for message in messages}
    for table, events, times in (
        (CORRECTIONS, correct(messages, said), ("corrected_at",)),
        (ESCALATIONS, escalate(messages, said), ("escalated_at", "closed_at")),
    ):
        assert len(events) > 100
        assert len({event[table.key[0]] for event in events}) == len(events)
        for event in events:
            assert set(event) == set(event_columns(table))
            assert json.loads(json.dumps(event)) == event
            moments = [at[event["interaction_id"]], *(datetime.fromisoformat(event[name]) for name in times)]
            assert moments == sorted(moments)
            assert moments[-1] - moments[0] <= timedelta(hours=2)
            assert moments[-1] < START + timedelta(days=7)


def test_corrections_give_only_labels_that_the_taxonomy_takes(messages: tuple[Message, ...]) -> None:
    for event in correct(messages, predict(messages, right=False)):
        assert event["label"] in TAXONOMY.task(event["task"]).trainable


def test_what_nobody_could_tell_is_not_corrected(messages: tuple[Message, ...]) -> None:
    unknown = tuple(
        Message(event=message.event, truth=dict(message.truth) | {"sentiment": "cannot_tell"}) for message in messages
    )
    events = correct(unknown, predict(messages, right=False))
    assert {event["task"] for event in events} == {"intent"}


def test_a_conversation_goes_to_a_person_once(messages: tuple[Message, ...]) -> None:
    events = escalate(messages, predict(messages, right=False, handoff=True))
    conversations = {message.event["conversation_id"] for message in messages}
    assert sorted(event["conversation_id"] for event in events) == sorted(conversations)
    assert {event["trigger"] for event in events} == {"handoff"}
    assert {event["first_contact"] for event in events} == {True}
    assert {event["needed"] for event in events} == {True}


def test_people_come_in_more_often_where_the_model_was_wrong(messages: tuple[Message, ...]) -> None:
    wrong, right = (escalate(messages, predict(messages, right=right)) for right in (False, True))
    assert len(wrong) > 4 * len(right) > 0
    assert {event["trigger"] for event in wrong} == {"customer", "agent"}
    assert any(event["needed"] for event in right)
    assert any(not event["needed"] for event in right)


def test_outcomes_are_as_stated(messages: tuple[Message, ...]) -> None:
    events = escalate(messages, predict(messages, right=False, handoff=True))
    rated = [event["csat"] for event in events if event["csat"] is not None]
    assert set(rated) == {1, 2, 3, 4, 5}
    assert len(rated) / len(events) == pytest.approx(RATES.rates_us, abs=0.04)
    assert sum(event["resolved"] for event in events) / len(events) == pytest.approx(RATES.resolved, abs=0.03)
    assert sum(event["reopened"] for event in events) / len(events) == pytest.approx(RATES.reopened, abs=0.03)
    truth = truths(messages)
    filed = [event for event in events if event["resolved_intent"]]
    misfiled = sum(event["resolved_intent"] != truth[event["interaction_id"]]["intent"] for event in filed)
    assert misfiled / len(filed) == pytest.approx(RATES.misfiled, abs=0.03)
    by_mood = {
        mood: [
            event["csat"] for event in events if event["csat"] and truth[event["interaction_id"]]["sentiment"] == mood
        ]
        for mood in ("negative", "positive")
    }
    mean = {mood: sum(ratings) / len(ratings) for mood, ratings in by_mood.items()}
    assert mean["positive"] > mean["negative"] + 0.5


def test_without_predictions_nothing_happens(messages: tuple[Message, ...]) -> None:
    assert correct(messages, PREDICTIONS.empty()) == []
    assert escalate(messages, PREDICTIONS.empty()) == []


def test_two_predictions_for_one_question_are_refused(messages: tuple[Message, ...]) -> None:
    said = predict(messages, right=True)
    with pytest.raises(ValueError, match="found more: keep the one that was shown"):
        correct(messages, pl.concat([said, said]))


CHANGES: dict[str, Any] = {
    "agents": 1,
    "notices": {"intent": 1.0, "sentiment": 1.0},
    "notices_in_handoff": {"intent": 0.0, "sentiment": 0.0},
    "wrong": 1.0,
    "needless": 1.0,
    "asks_when_wrong": 1.0,
    "asks_when_right": 1.0,
    "steps_in_when_wrong": 1.0,
    "steps_in_when_right": 1.0,
    "needs_person": TAXONOMY.task("intent").label_names,
    "resolved": 0.0,
    "reopened": 1.0,
    "misfiled": 1.0,
    "rates_us": 1.0,
}


def test_every_setting_is_tried() -> None:
    assert set(CHANGES) == set(AgentRates.model_fields)


@pytest.mark.parametrize("setting", CHANGES)
def test_every_setting_changes_what_agents_do(messages: tuple[Message, ...], setting: str) -> None:
    few = messages[:600]
    said = pl.concat(
        [
            predict(few[:250], right=False),
            predict(few[250:500], right=True),
            predict(few[500:], right=False, handoff=True),
        ]
    )
    other = RATES.model_copy(update={setting: CHANGES[setting]})
    assert (correct(few, said, other), escalate(few, said, other)) != (correct(few, said), escalate(few, said))
