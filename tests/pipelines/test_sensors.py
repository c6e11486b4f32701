"""When the sensors ask for a job, and when they leave it."""

from datetime import UTC, datetime

import dagster as dg
import pytest

from assets.resources import Loop
from labeling import tables as t
from labeling.home import Home
from pipelines.definitions import build_definitions
from pipelines.replay.stage import make_stage

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
def asked(home, instance):
    """Return a function that evaluates the sensor of settled labels once and returns what it asks for."""
    definitions = build_definitions(home)

    def evaluate():
        resources = {"loop": Loop(home=str(home.path))}
        with dg.build_sensor_context(instance=instance, resources=resources, definitions=definitions) as context:
            ticked = definitions.resolve_sensor_def("labels_settled_sensor").evaluate_tick(context)
        return [request.run_key for request in ticked.run_requests or []]

    return evaluate


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
