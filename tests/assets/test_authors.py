"""Who made a release: as git says, or the owner of the files, and who started the runs."""

import os
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from assets.authors import STARTED_BY, authors_of, name_user, started_by

JUDGED = datetime(2026, 3, 2, 9, tzinfo=UTC)
NIGHTLY = {"dagster/schedule_name": "retrain_schedule"}


@pytest.fixture
def configs(tmp_path):
    """Settings that were all changed an hour before the champion was judged."""
    folder = tmp_path / "configs"
    (folder / "recipes").mkdir(parents=True)
    for name in ("gates", "taxonomy", "handoff", "reviewers", "recipes/default", "recipes/other"):
        (folder / f"{name}.yaml").write_text("schema_version: 1\n")
        change(folder / f"{name}.yaml", JUDGED - timedelta(hours=1))
    return folder


def change(file, at):
    os.utime(file, (at.timestamp(), at.timestamp()))


def commit(folder, author, at):
    day = {"GIT_COMMITTER_DATE": at.isoformat(), "GIT_AUTHOR_DATE": at.isoformat()}
    who = {"GIT_COMMITTER_NAME": "ci", "GIT_COMMITTER_EMAIL": "ci@example.org", "GIT_CONFIG_GLOBAL": os.devnull}
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "change", f"--author={author}"]):
        subprocess.run(["/usr/bin/env", "git", "-C", folder, *command], check=True, env={**os.environ, **day, **who})


def ask(configs, *runs, since=JUDGED):
    return authors_of(runs or (NIGHTLY,), configs=configs, recipes=["default"], since=since)


@pytest.mark.parametrize(
    ("tags", "who"),
    [
        (NIGHTLY, set()),
        ({"dagster/sensor_name": "labels_settled_sensor"}, set()),
        ({**NIGHTLY, "dagster/parent_run_id": "1", "dagster/retry_number": "1"}, set()),
        ({**NIGHTLY, "dagster/parent_run_id": "1"}, {"unknown"}),
        ({}, {"unknown"}),
        ({STARTED_BY: "ada"}, {"ada"}),
        ({STARTED_BY: "ada", **NIGHTLY}, {"ada"}),
    ],
)
def test_who_started_a_run_is_known_by_its_tags(tags, who):
    assert started_by(tags) == who


def test_a_nightly_run_on_settings_that_are_known_has_no_author(configs):
    assert ask(configs) == ()


@pytest.mark.parametrize("name", ["gates", "taxonomy", "handoff", "recipes/default"])
def test_who_changed_a_setting_since_is_the_author(configs, name):
    change(configs / f"{name}.yaml", JUDGED + timedelta(hours=1))
    assert ask(configs) == (name_user(),)


@pytest.mark.parametrize("name", ["reviewers", "recipes/other"])
def test_what_does_not_make_a_release_makes_no_author(configs, name):
    change(configs / f"{name}.yaml", JUDGED + timedelta(hours=1))
    assert ask(configs) == ()


def test_before_the_first_champion_all_settings_count(configs):
    assert ask(configs, since=None) == (name_user(),)


def test_git_names_who_committed_and_what_is_not_committed_is_the_owner_s(configs):
    commit(configs, "Ada L <ada@example.org>", JUDGED - timedelta(hours=1))
    change(configs / "gates.yaml", JUDGED + timedelta(hours=1))  # a checkout: touched, and not changed
    assert ask(configs) == ()
    (configs / "gates.yaml").write_text("schema_version: 2\n")
    assert ask(configs) == (name_user(),)
    commit(configs, "Ada L <ada@example.org>", JUDGED + timedelta(hours=2))
    assert ask(configs) == ("Ada L <ada@example.org>",)
    assert ask(configs, {STARTED_BY: "ben"}, NIGHTLY, {}) == ("Ada L <ada@example.org>", "ben", "unknown")
