"""The graph, jobs, schedules, sensors and checks are what we promise: held by a snapshot."""

import json
from pathlib import Path

import pytest

from assets.resources import Loop
from assets.settings import load_settings
from labeling.desk.interface import render_page
from labeling.home import Home
from labeling.taxonomy import Label, Task, Taxonomy
from pipelines.definitions import assemble, build_definitions
from pipelines.replay.stage import make_stage

SNAPSHOT = Path(__file__).parents[1] / "snapshots" / "definitions.json"


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    home.path.mkdir()
    make_stage(home, seed=1, changes={})
    return home


def describe(definitions):
    graph = definitions.resolve_asset_graph()
    return {
        "assets": {
            key.to_user_string(): {
                "group": graph.get(key).group_name,
                "after": sorted(parent.to_user_string() for parent in graph.get(key).parent_keys),
            }
            for key in sorted(graph.get_all_asset_keys(), key=str)
        },
        "checks": {
            f"{key.asset_key.to_user_string()}:{key.name}": "blocks" if graph.get(key).blocking else "warns"
            for key in sorted(graph.asset_check_keys, key=str)
        },
        "jobs": {
            name: sorted(
                key.to_user_string() for key in definitions.resolve_job_def(name).asset_layer.selected_asset_keys
            )
            for name in (
                *("collect_job", "review_job", "fetch_job", "send_job"),
                *("retrain_job", "reconcile_job", "maintain_job", "notify_job"),
            )
        },
        "schedules": {
            schedule.name: [schedule.cron_schedule, schedule.job_name, schedule.default_status.value]
            for schedule in definitions.schedules
        },
        "sensors": {
            sensor.name: [sensor.job_name, sensor.minimum_interval_seconds, sensor.default_status.value]
            for sensor in definitions.sensors
        },
    }


def test_the_definitions_are_those_of_the_snapshot(home):
    assert describe(build_definitions(home)) == json.loads(SNAPSHOT.read_text())


def test_a_third_task_gets_its_assets_and_checks_from_yaml_alone(home):
    settings = load_settings(home.configs)
    urgency = Task(
        name="urgency",
        question="How urgent is it?",
        labels=(Label(name="low", title="Low"), Label(name="high", title="High")),
    )
    taxonomy = Taxonomy(schema_version=1, version=2, tasks=(*settings.taxonomy.tasks, urgency))

    found = describe(assemble(taxonomy, settings.services.schedules, Loop(home=str(home.path))))

    assert found["assets"]["urgency_training_set"]["after"] == ["labels"]
    assert found["assets"]["urgency_candidate"]["after"] == ["urgency_training_set"]
    assert "urgency_candidate" in found["assets"]["release_challenger"]["after"]
    assert found["checks"]["urgency_candidate:parity"] == "blocks"
    assert "urgency_candidate" in found["jobs"]["retrain_job"]
    page = render_page(taxonomy)
    assert 'name="urgency"' in page
    assert "How urgent is it?" in page
