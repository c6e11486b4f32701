"""When the sensors ask for a job, and when they leave it."""

import uuid
from datetime import UTC, datetime
from typing import Literal

import dagster as dg
import pytest

from assets.resources import FAKE_DESK, Loop
from assets.settings import load_settings
from labeling import tables as t
from labeling.desk.fake import FakeReviewDesk
from labeling.home import Home
from pipelines.definitions import build_definitions
from pipelines.replay.stage import make_stage
from pipelines.sensors import ENOUGH_ANSWERS
from tests.contracts.desks import case

NOW = datetime(2026, 3, 9, tzinfo=UTC)
NEEDED = 3


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    home.path.mkdir()
    make_stage(home, seed=1, changes={"settings.yaml": {"retrain": {"min_new_labels": NEEDED}}})
    return home


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def evaluated(home, instance):
    """Return a function that evaluates a sensor once and returns what it asks for."""
    definitions = build_definitions(home)

    def evaluate(sensor, desk: Literal["label_studio", "fake"] = "fake"):
        resources = {"loop": Loop(home=str(home.path), desk=desk)}
        with dg.build_sensor_context(instance=instance, resources=resources, definitions=definitions) as context:
            ticked = definitions.resolve_sensor_def(sensor).evaluate_tick(context)
        return [request.run_key for request in ticked.run_requests or []]

    return evaluate


@pytest.fixture
def asked(evaluated):
    """Return a function that evaluates the sensor of settled labels once and returns what it asks for."""
    return lambda: evaluated("labels_settled_sensor")


def settle(home, *names, label="refund", lot="open"):
    known = [{"interaction_id": name, "lot": lot, "updated_at": NOW} for name in names]
    home.tables.merge(t.INTERACTIONS, t.INTERACTIONS.frame(known))
    rows = [{"interaction_id": name, "task": "intent", "label": label, "settled_at": NOW} for name in names]
    home.tables.merge(t.LABELS, t.LABELS.frame(rows))


def freeze(home, *names, label="refund"):
    rows = [{"training_set_id": "s", "task": "intent", "interaction_id": name, "label": label} for name in names]
    home.tables.merge(t.TRAINING_SETS, t.TRAINING_SETS.frame(rows))


def judge(instance, **learnt):
    metadata = {"version": "1", "training_sets": dg.MetadataValue.json(learnt)}
    instance.report_runless_asset_event(dg.AssetMaterialization("release_challenger", metadata=metadata))


def test_a_retrain_is_asked_for_once_enough_labels_have_settled(home, asked):
    settle(home, "a", "b")
    assert asked() == []
    settle(home, "c")
    assert asked() == [f"labels-{home.tables.version(t.LABELS)}"]


def test_labels_that_may_not_train_are_no_reason(home, asked):
    settle(home, "a", "b", "c", lot="audit")
    settle(home, "d", "e", "f", label="cannot_tell")
    assert asked() == []


def test_a_retrain_stopped_after_its_training_set_is_asked_for_again(home, asked):
    settle(home, "a", "b", "c")
    freeze(home, "a", "b", "c")
    assert len(asked()) == 1


def test_what_a_judged_release_has_learnt_is_no_reason(home, instance, asked):
    settle(home, "a", "b", "c")
    freeze(home, "a", "b", "c")
    judge(instance, intent="s")
    assert asked() == []
    settle(home, "d", "e", "f")
    assert len(asked()) == 1


def test_labels_that_changed_since_are_new(home, instance, asked):
    settle(home, "a", "b", "c", label="billing")
    freeze(home, "a", "b", "c", label="refund")
    judge(instance, intent="s")
    assert len(asked()) == 1


@pytest.fixture
def desk(home):
    """A fake desk with 30 cases on it."""
    desk = FakeReviewDesk(home.path / FAKE_DESK)
    desk.open_project(load_settings(home.configs).taxonomy)
    desk.send([case(number) for number in range(30)])
    return desk


def review(instance, *, waiting):
    made = dg.AssetMaterialization("review_tasks", metadata={"waiting": waiting})
    instance.report_runless_asset_event(made)


def answer(desk, numbers):
    for number in numbers:
        desk.answer(f"case-{number:05d}", "ann-1", {"intent": "lost_phone"}, NOW)


def test_a_review_is_asked_for_once_enough_cases_were_answered(desk, instance, evaluated):
    assert evaluated("answers_waiting_sensor") == [], "before the first review there is nothing to fetch"
    review(instance, waiting=30)
    answer(desk, range(ENOUGH_ANSWERS - 1))
    assert evaluated("answers_waiting_sensor") == []
    answer(desk, range(ENOUGH_ANSWERS))
    first = evaluated("answers_waiting_sensor")
    assert len(first) == 1
    assert evaluated("answers_waiting_sensor") == first, "the same run is asked for, which runs once"
    review(instance, waiting=5)
    assert evaluated("answers_waiting_sensor") == []


def test_a_review_is_asked_for_when_no_case_waits_any_more(desk, instance, evaluated):
    review(instance, waiting=2)
    answer(desk, range(30))
    assert len(evaluated("answers_waiting_sensor")) == 1
    review(instance, waiting=0)
    assert evaluated("answers_waiting_sensor") == [], "nothing was left to send either"


def test_a_desk_that_does_not_answer_is_no_reason(instance, evaluated):
    review(instance, waiting=30)
    assert evaluated("answers_waiting_sensor", desk="label_studio") == []


def test_no_second_review_is_asked_for_while_one_runs(desk, instance, evaluated):
    review(instance, waiting=2)
    answer(desk, range(30))
    running = dg.DagsterRun(job_name="review_job", run_id=str(uuid.uuid4()), status=dg.DagsterRunStatus.STARTED)
    instance.add_run(running)
    assert evaluated("answers_waiting_sensor") == []
