"""What a replay came to: counted from the tables, measured against what the feed knows to be true."""

from datetime import UTC, datetime, timedelta

import pytest

from labeling import tables as t
from labeling.delta import Tables
from labeling.vocabulary import CANNOT_TELL
from pipelines.replay.feed import Message, Week
from pipelines.replay.measure import measure_release, measure_week, predict_live, redacted_texts, sealed_messages
from serving.release import Release, build_release
from tests.serving.policies import policy_of
from tests.training.parts import MESSAGES, saved_model

NOW = datetime(2026, 3, 9, tzinfo=UTC)
TEXTS = [text for messages in MESSAGES.values() for text in messages]


@pytest.fixture
def tables(tmp_path):
    return Tables(tmp_path)


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    folder = tmp_path_factory.mktemp("measured")
    policy = policy_of("topic")
    build_release({"topic": saved_model(folder / "topic")}, policy, folder / "of")
    return Release.load(folder / "of")


def put(tables, table, *rows, **common):
    plain = {name: NOW for name, kind in table.schema.items() if kind == t.TIME}
    tables.merge(table, table.frame([plain | common | row for row in rows]))


def message(name, text="as it was written"):
    event = {"interaction_id": name, "conversation_id": name, "text": text, "occurred_at": NOW.isoformat()}
    return Message(event, {"intent": "x"})


def week(number, *names):
    return Week(number, NOW, NOW + timedelta(days=7), tuple(message(name) for name in names))


def test_sealed_messages_are_those_of_the_test_part_as_the_models_see_them(tables):
    rows = [("b", "test"), ("a", "test"), ("c", "calibrate"), ("d", None), ("gone", "test")]
    put(tables, t.INTERACTIONS, *({"interaction_id": n, "part": p, "text": f"redacted {n}"} for n, p in rows))
    sealed = sealed_messages(tables, {name: message(name) for name in "abcd"})
    assert [one.interaction_id for one in sealed] == ["a", "b"]
    assert redacted_texts(tables, sealed) == ["redacted a", "redacted b"]


def test_a_release_is_measured_where_there_is_a_truth(release):
    said = release.answer(TEXTS)["topic"].to_list()
    other = {"delivery": "refund", "refund": "delivery"}
    truth = [{"topic": label} for label in said[:20]] + [{"topic": other[label]} for label in said[20:24]]
    truth += [{"topic": CANNOT_TELL}, {}] + [{"mood": "good"}] * 4
    found = measure_release(release, TEXTS, truth)
    assert list(found) == ["topic"]
    assert found["topic"].accuracy == pytest.approx(20 / 24)
    assert (found["topic"].low, found["topic"].high) == (pytest.approx(0.641, abs=1e-3), pytest.approx(0.933, abs=1e-3))


def test_without_any_truth_nothing_is_measured(release):
    assert measure_release(release, TEXTS, [{}] * len(TEXTS)) == {}


def count(tables, number=1):
    return measure_week(tables, week(number, "a", "b"), champion="2", verdict="promote", answers=3, accuracy={})


def test_a_week_counts_what_happened_to_its_own_messages(tables):
    put(tables, t.CORRECTIONS, *({"correction_id": n, "interaction_id": n} for n in ("a", "b", "other")))
    found = count(tables)
    assert (found.messages, found.corrections, found.labels) == (2, 2, 3)
    assert found.corrections_per_100 == 100
    assert (found.champion, found.verdict) == ("2", "promote")


def test_handoffs_are_those_of_the_first_release_that_saw_a_message(tables):
    first = {"predicted_at": NOW, "model_version": "1", "handoff": True}
    later = {"predicted_at": NOW + timedelta(days=1), "model_version": "2", "handoff": False}
    rows = [{"interaction_id": "a", "task": task} | said for task in ("intent", "sentiment") for said in (later, first)]
    rows += [{"interaction_id": "b", "task": "intent"} | first | {"handoff": False}]
    rows += [{"interaction_id": "b", "task": "intent"} | later | {"handoff": True}]
    put(tables, t.PREDICTIONS, *rows)
    assert count(tables).handoffs == 1
    assert count(tables, number=0).handoffs == 0


def test_a_week_without_anything_counts_nothing(tables):
    found = measure_week(tables, week(1), champion="", verdict="", answers=0, accuracy={})
    assert (found.messages, found.corrections, found.handoffs, found.labels) == (0, 0, 0, 0)
    assert found.corrections_per_100 == 0


def test_live_predictions_say_what_the_release_says(release):
    found = predict_live(release, TEXTS[:3])
    said = release.answer(TEXTS[:3])
    assert [one.text for one in found] == TEXTS[:3]
    assert [one.answers["topic"][0] for one in found] == said["topic"].to_list()
    assert [one.handoff for one in found] == said["handoff"].to_list()
    assert all(0 <= one.answers["topic"][1] <= 1 for one in found)
