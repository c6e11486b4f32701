"""When the sensors ask for a job, and when they leave it."""

import json
import shutil
import uuid
from datetime import UTC, datetime
from typing import Literal

import dagster as dg
import pytest
import yaml

from assets.resources import FAKE_DESK, Loop
from assets.settings import load_settings
from labeling import tables as t
from labeling.desk.fake import FakeReviewDesk
from labeling.home import Home
from pipelines.definitions import build_definitions
from pipelines.replay.stage import make_stage
from pipelines.sensors import ENOUGH_ANSWERS
from tests.contracts.desks import case
from tests.serving.receiver import receiving
from tests.training.registry.stage import open_stage
from training.registry.alarm import ALARM, ALARM_OVER
from training.registry.registry import RELEASE, VERDICT_TAG

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


@pytest.fixture
def decided(home, made_record):
    """The home with a record of decisions: version 1 is the champion, 3 waits."""
    shutil.copytree(made_record, home.path, dirs_exist_ok=True)
    return open_stage(home.path)


def only_alarm(home):
    settings = home.configs / "settings.yaml"
    settings.write_text(settings.read_text().replace("put_right: true", "put_right: false"))


def run(home, job, instance):
    definition = build_definitions(home).resolve_job_def(job)
    assert definition.execute_in_process(instance=instance).success


def test_what_was_moved_by_hand_raises_the_alarm_and_is_put_right(home, instance, evaluated, decided):
    assert evaluated("aliases_sensor") == []
    decided.registry.set_alias(RELEASE, "champion", "2")
    decided.registry.tag(RELEASE, "2", {VERDICT_TAG: "promote"})
    assert evaluated("aliases_sensor") == [None]
    [alarm] = decided.ledger.entries(ALARM)
    assert [found["what"] for found in alarm.body["findings"]] == ["alias champion", f"tag {VERDICT_TAG}"]
    run(home, "reconcile_job", instance)
    assert decided.aliases()["champion"] == "1"
    assert decided.registry.version(RELEASE, "2").tags[VERDICT_TAG] == "hold"
    assert evaluated("aliases_sensor") == []
    assert decided.ledger.head().kind == ALARM_OVER


def test_by_config_the_alarm_is_raised_and_nothing_is_put_right(home, evaluated, decided):
    only_alarm(home)
    decided.registry.set_alias(RELEASE, "champion", "2")
    assert evaluated("aliases_sensor") == []
    assert len(decided.ledger.entries(ALARM)) == 1


def test_notices_are_asked_for_and_sent_while_some_are_due(home, instance, evaluated, decided, monkeypatch):
    assert evaluated("notices_sensor") == [], "no channel is named"
    channel = {"name": "hook", "through": "webhook", "url_from": "HOOK", "secret_from": "SECRET"}
    (home.configs / "notices.yaml").write_text(yaml.safe_dump({"channels": [channel]}))
    with receiving() as receiver:
        assert evaluated("notices_sensor") == [], "the environment does not say where to"
        monkeypatch.setenv("HOOK", f"http://127.0.0.1:{receiver.port}")
        monkeypatch.setenv("SECRET", "secret")
        assert evaluated("notices_sensor") == [None]
        run(home, "notify_job", instance)
        assert evaluated("notices_sensor") == []
    [(_, body)] = receiver.got
    assert json.loads(body)["type"] == "cxloop.challenger_waits"


def test_no_second_review_is_asked_for_while_one_runs(desk, instance, evaluated):
    review(instance, waiting=2)
    answer(desk, range(30))
    running = dg.DagsterRun(job_name="review_job", run_id=str(uuid.uuid4()), status=dg.DagsterRunStatus.STARTED)
    instance.add_run(running)
    assert evaluated("answers_waiting_sensor") == []
