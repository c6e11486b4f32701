"""A home whose taxonomy is edited while it runs: labels follow, nothing is lost, models stay comparable."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from assets.judging import Judging, judge_release
from assets.resources import Loop
from assets.review import labels
from assets.training import settled_labels, training_assets
from labeling import tables as t
from pipelines.cli import app
from serving.release import Release, build_release
from tests.assets.conftest import NOW, StockedHome
from tests.assets.judging_stage import TEXTS, JudgedHome
from tests.serving.policies import policy_of
from tests.small_encoder import small_encoder
from tests.training.parts import saved_model

BEFORE = ("delivery", "refund", "no_signal", "slow_data", "greeting")
AFTER = ("parcel", "refund", "network")
MIGRATION = {
    "version": 2,
    "tasks": {
        "topic": {
            "rename": {"delivery": "parcel"},
            "merge": {"network": ["no_signal", "slow_data"]},
            "retire": ["greeting"],
        }
    },
}
GIVEN = {"a": "delivery", "b": "refund", "c": "no_signal", "d": "slow_data", "e": "greeting", "f": "none_of_these"}


def write_taxonomy(stocked: StockedHome, names: tuple[str, ...], *migrations: dict) -> None:
    """Put a taxonomy of one task ``topic`` into the home, and read the settings anew."""
    task = {"name": "topic", "question": "About what?", "rejects": True}
    raw = {"schema_version": 1, "version": 1 + len(migrations), "migrations": list(migrations)}
    raw["tasks"] = [task | {"labels": [{"name": name, "title": name} for name in names]}]
    (stocked.home.configs / "taxonomy.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    handoff = yaml.safe_load((stocked.home.configs / "handoff.yaml").read_text(encoding="utf-8"))
    changed = handoff | {"tasks": [], "high_risk_labels": []}
    (stocked.home.configs / "handoff.yaml").write_text(yaml.safe_dump(changed), encoding="utf-8")
    stocked.loop = Loop(home=str(stocked.home.path), now_is=NOW.isoformat(), desk="fake")


@pytest.fixture
def settled(stocked):
    """A home with one settled label of each kind, two of them from corrections."""
    write_taxonomy(stocked, BEFORE)
    stocked.interactions(*GIVEN)
    reviewed = [
        {"review_id": f"r-{name}", "interaction_id": name, "label": label}
        for name, label in GIVEN.items()
        if name not in ("b", "d")
    ]
    corrected = [{"correction_id": f"k-{name}", "interaction_id": name, "label": GIVEN[name]} for name in ("b", "d")]
    stocked.put(t.REVIEWS, *reviewed, task="topic", annotator_id="ann", blind=False)
    stocked.put(t.CORRECTIONS, *corrected, task="topic", agent_id="agent", previous_label="delivery")
    stocked.make(labels)
    assert said(stocked) == GIVEN
    return stocked


def said(stocked: StockedHome) -> dict[str, str]:
    rows = stocked.tables.read(t.LABELS, columns=["interaction_id", "label"]).sort("interaction_id")
    return dict(rows.iter_rows())


def test_labels_follow_with_the_next_review_job_and_no_answer_is_rewritten(settled):
    answers = {table: settled.tables.read(table) for table in (t.REVIEWS, t.CORRECTIONS)}
    made_by = settled.tables.read(t.LABELS).select("interaction_id", "answer_ids").sort("interaction_id")
    write_taxonomy(settled, AFTER, MIGRATION)
    settled.make(labels)
    expected = {"a": "parcel", "b": "refund", "c": "network", "d": "network", "e": "cannot_tell", "f": "none_of_these"}
    assert said(settled) == expected
    assert all(settled.tables.read(table).equals(given) for table, given in answers.items())
    after = settled.tables.read(t.LABELS).select("interaction_id", "answer_ids").sort("interaction_id")
    assert after.filter(interaction_id="c").equals(made_by.filter(interaction_id="c"))
    again = settled.make(labels)["labels"]
    assert (again["new"], again["changed"]) == (0, 0)


def test_an_answer_given_on_the_older_page_settles_under_the_new_name(settled):
    write_taxonomy(settled, AFTER, MIGRATION)
    settled.interactions("late")
    settled.put(
        t.REVIEWS,
        {"review_id": "r", "interaction_id": "late", "task": "topic", "annotator_id": "ann", "label": "no_signal"},
    )
    settled.make(labels)
    assert said(settled)["late"] == "network"


@pytest.fixture
def labelled(stocked):
    """A home with one label of each kind, as they were settled before."""
    write_taxonomy(stocked, BEFORE)
    stocked.interactions(*GIVEN)
    stocked.labels(GIVEN, task="topic")
    return stocked


def test_a_set_is_frozen_in_the_labels_of_today_even_before_they_settled_anew(labelled):
    write_taxonomy(labelled, AFTER, MIGRATION)
    found = settled_labels(labelled.loop, "topic", lot="open")
    assert dict(found.select("interaction_id", "label").iter_rows())["d"] == "network"
    assert "e" not in found["interaction_id"]
    task = labelled.loop.settings.taxonomy.task("topic")
    frozen = labelled.make(training_assets(task)[0])["topic_training_set"]
    rows = labelled.tables.read(t.TRAINING_SETS).filter(training_set_id=frozen["training_set_id"])
    assert set(rows["label"]) == {"parcel", "refund", "network", "none_of_these"}


def test_config_check_counts_what_a_migration_changes_and_says_what_comes_next(labelled):
    runner, command = CliRunner(), ["config", "check", "--home", str(labelled.home.path)]
    assert "changed since" not in runner.invoke(app, command).output
    write_taxonomy(labelled, ("parcel", "network", "other"), MIGRATION)
    told = runner.invoke(app, command)
    assert told.exit_code == 0, told.output
    rows = [line.split() for line in told.output.splitlines() if line.startswith("  topic")]
    assert [row[:4] for row in rows] == [
        ["topic", "rename", "delivery", "parcel"],
        ["topic", "retire", "greeting", "no"],
        ["topic", "merge", "no_signal", "network"],
        ["topic", "unknown", "refund", "?"],
        ["topic", "merge", "slow_data", "network"],
    ]
    assert {row[-1] for row in rows} == {"1"}
    assert "Next: `cxloop run review`" in told.output


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> tuple[Path, Path]:
    """The releases of one model as the labels were before, and of the same as they are after the migration."""
    folder = tmp_path_factory.mktemp("models")
    older = saved_model(folder / "older", encoder_spec=small_encoder())
    newer = shutil.copytree(folder / "older", folder / "newer")
    about = json.loads((newer / "model.json").read_text())
    (newer / "model.json").write_text(json.dumps(about | {"labels": ["parcel", "refund"]}))
    policy = policy_of("topic")
    for name, model in (("of-older", older), ("of-newer", newer)):
        build_release({"topic": model}, policy, folder / name)
    return folder / "of-older", folder / "of-newer"


@pytest.mark.parametrize(("one", "other"), [(1, 0), (0, 1), (0, 0)])
def test_a_champion_of_the_older_taxonomy_is_judged_by_what_its_answers_mean_today(stocked, folders, one, other):
    home = JudgedHome(stocked, BEFORE)
    home.put_test(Release.load(folders[0]).scorers["topic"].score(TEXTS).frame()["label"].to_list())
    home.crown(folders[other])
    write_taxonomy(stocked, AFTER, MIGRATION)
    version = home.register(folders[one])
    judged = judge_release(home.loop, Judging(version, Release.load(folders[one])), home.registry)
    assert judged.metrics["topic_accuracy"] == 1
    card = judged.case_file.scorecards("topic")["champion"]
    assert card is not None
    assert (card.accuracy, set(card.labels)) == (1, {"parcel", "refund"})
