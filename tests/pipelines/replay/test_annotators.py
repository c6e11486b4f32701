"""The annotators: their answers have the confusion that is stated, hang on nothing but the case, and fit the tables."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labeling.config import load_config
from labeling.errors import UnknownTask
from labeling.sources.table_map import event_columns
from labeling.tables import REVIEWS
from labeling.taxonomy import Label, Task, Taxonomy
from pipelines.replay.annotators import (
    AnnotatorRates,
    SimulatedAnnotator,
    assign_annotators,
    rating_label,
    review_history,
)
from pipelines.replay.feed import FeedRates, Message, play_feed
from pipelines.replay.rates import DemoConfig

CONFIGS = Path(__file__).parents[3] / "configs"
TAXONOMY = load_config(CONFIGS / "taxonomy.yaml", Taxonomy)
STATED = load_config(CONFIGS / "demo.yaml", DemoConfig).annotators
START = datetime(2026, 3, 2, tzinfo=UTC)
PLAIN = AnnotatorRates(name="eva", accuracy={"intent": 0.8, "sentiment": 0.7}, skips=0.1, cannot_tell=0.05)


@pytest.fixture(scope="module")
def messages() -> tuple[Message, ...]:
    return play_feed(5, START, rates=FeedRates(weeks=1, history=1, weekly=2000)).weeks[0].messages


def people(seed: int = 1) -> list[SimulatedAnnotator]:
    return [SimulatedAnnotator(rates, TAXONOMY, seed=seed) for rates in STATED]


def message(text: str, truth: dict[str, str], ratings: dict[str, tuple[float, ...]] | None = None) -> Message:
    return Message(event={"interaction_id": text, "text": text}, truth=truth, ratings=ratings or {})


@pytest.mark.parametrize("task", ["intent", "sentiment"])
def test_the_confusion_matrix_is_the_stated_one(task: str) -> None:
    annotator = SimulatedAnnotator(PLAIN, TAXONOMY, seed=1)
    shares = annotator.confusion(task)
    size = len(TAXONOMY.task(task).trainable)
    assert shares.shape == (size, size + 1)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    np.testing.assert_allclose(np.diag(shares[:, :size]), PLAIN.accuracy[task] * 0.95)
    np.testing.assert_allclose(shares[:, size], 0.05)


def test_wrong_answers_stay_in_the_domain_as_often_as_stated() -> None:
    annotator = SimulatedAnnotator(PLAIN, TAXONOMY, seed=1)
    labels = TAXONOMY.task("intent").labels
    shares = annotator.confusion("intent")
    for place, label in enumerate(labels):
        near = [i for i, other in enumerate(labels) if other.domain == label.domain and i != place]
        assert shares[place, near].sum() == pytest.approx(0.2 * 0.95 * PLAIN.near_misses)


def test_an_unknown_task_names_those_that_there_are() -> None:
    with pytest.raises(UnknownTask, match="intent, sentiment"):
        SimulatedAnnotator(PLAIN, TAXONOMY, seed=1).confusion("urgency")


def test_answers_are_right_skipped_and_doubtful_as_often_as_stated(messages: tuple[Message, ...]) -> None:
    annotator = SimulatedAnnotator(PLAIN, TAXONOMY, seed=1)
    readings = [(message, annotator.read(message)) for message in messages]
    answered = [(message, reading.labels) for message, reading in readings if reading.labels is not None]
    assert 1 - len(answered) / len(readings) == pytest.approx(PLAIN.skips, abs=0.02)
    for task, accuracy in PLAIN.accuracy.items():
        assert {len(labels) for _, labels in answered} == {2}
        right = sum(labels[task] == message.truth[task] for message, labels in answered) / len(answered)
        assert right == pytest.approx(accuracy * 0.95, abs=0.025)
        unsure = sum(labels[task] == "cannot_tell" for _, labels in answered) / len(answered)
        assert unsure == pytest.approx(0.05, abs=0.015)
    assert np.mean([reading.lead_seconds for _, reading in readings]) == pytest.approx(PLAIN.seconds, rel=0.1)


def test_the_same_case_gets_the_same_answer_whatever_came_before(messages: tuple[Message, ...]) -> None:
    first, same, reseeded = people()[0], people()[0], people(seed=2)[0]
    some = messages[:200]
    once = {message.interaction_id: first.read(message) for message in some}
    assert {message.interaction_id: same.read(message) for message in reversed(some)} == once
    for other in (reseeded, people()[1]):
        assert {message.interaction_id: other.read(message) for message in some} != once


def test_recorded_ratings_are_drawn_as_people_gave_them() -> None:
    annotator = SimulatedAnnotator(PLAIN.model_copy(update={"skips": 0.0}), TAXONOMY, seed=1)
    rated = [
        message(
            f"rated {n}", {"intent": "none_of_these", "sentiment": "positive"}, {"sentiment": (2.0, 3.0, 0.0, -1.0)}
        )
        for n in range(2000)
    ]
    found = Counter(reading.labels["sentiment"] for reading in map(annotator.read, rated) if reading.labels)
    assert found["positive"] / 2000 == pytest.approx(0.5, abs=0.04)
    assert found["neutral"] / 2000 == pytest.approx(0.25, abs=0.04)
    assert found["negative"] / 2000 == pytest.approx(0.25, abs=0.04)


@pytest.mark.parametrize(
    ("rating", "label"), [(4, "positive"), (0.51, "positive"), (0.5, "neutral"), (-0.5, "neutral"), (-1, "negative")]
)
def test_ratings_are_cut_at_a_half(rating: float, label: str) -> None:
    assert rating_label(rating) == label


def test_a_task_without_truth_is_answered_cannot_tell() -> None:
    urgency = Task(
        name="urgency", question="?", labels=(Label(name="low", title="Low"), Label(name="high", title="High"))
    )
    taxonomy = Taxonomy(schema_version=1, version=2, tasks=(*TAXONOMY.tasks, urgency))
    rates = PLAIN.model_copy(update={"skips": 0.0})
    unknown = message("a", {"intent": "lost_phone", "sentiment": "cannot_tell"})
    reading = SimulatedAnnotator(rates, taxonomy, seed=1).read(unknown)
    assert reading.labels is not None
    assert (reading.labels["sentiment"], reading.labels["urgency"]) == ("cannot_tell", "cannot_tell")
    named = AnnotatorRates(name="eva", accuracy={"urgency": 1.0}, skips=0.0, cannot_tell=0.0)
    urgent = message("b", {"urgency": "high"})
    answered = SimulatedAnnotator(named, taxonomy, seed=1).read(urgent).labels
    assert answered == {"intent": "cannot_tell", "sentiment": "cannot_tell", "urgency": "high"}


def test_cases_are_spread_over_different_people() -> None:
    annotators = people()
    first = [assign_annotators(f"i-{n}", annotators, overlap=2, seed=1) for n in range(400)]
    assert {len({annotator.name for annotator in pair}) for pair in first} == {2}
    load = Counter(pair[0].name for pair in first)
    assert min(load.values()) > 60
    assert first == [assign_annotators(f"i-{n}", annotators, overlap=2, seed=1) for n in range(400)]
    assert len(assign_annotators("i-1", annotators, overlap=9, seed=1)) == len(annotators)


def test_the_history_comes_as_arriving_reviews(messages: tuple[Message, ...]) -> None:
    events = review_history(messages, people(), seed=1)
    at = {message.interaction_id: message.occurred_at for message in messages}
    assert len(events) > 1.9 * len(messages)
    assert len({(event["review_id"], event["task"]) for event in events}) == len(events)
    for event in events:
        assert set(event) == set(event_columns(REVIEWS))
        assert json.loads(json.dumps(event)) == event
        assert event["label"] in TAXONOMY.task(event["task"]).trainable
        delay = datetime.fromisoformat(event["answered_at"]) - at[event["interaction_id"]]
        assert timedelta(0) < delay <= timedelta(hours=2)


CHANGES: dict[str, Any] = {
    "name": "zoe",
    "accuracy": {"intent": 0.2, "sentiment": 0.2},
    "near_misses": 0.0,
    "skips": 1.0,
    "cannot_tell": 1.0,
    "seconds": 60.0,
}


def test_every_setting_is_tried() -> None:
    assert set(CHANGES) == set(AnnotatorRates.model_fields)


@pytest.mark.parametrize("setting", CHANGES)
def test_every_setting_changes_the_answers(messages: tuple[Message, ...], setting: str) -> None:
    other = SimulatedAnnotator(PLAIN.model_copy(update={setting: CHANGES[setting]}), TAXONOMY, seed=1)
    plain = SimulatedAnnotator(PLAIN, TAXONOMY, seed=1)
    assert [other.read(message) for message in messages[:300]] != [plain.read(message) for message in messages[:300]]
