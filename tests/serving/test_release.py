import shutil

import numpy as np
import polars as pl
import pytest

from labeling import tables as t
from labeling.errors import ModelError
from labeling.migrations import LabelChange, Migration
from labeling.taxonomy import Label, Task, Taxonomy
from serving.release import Champion, Release, build_release, load_description, open_champion
from tests.serving.policies import policy_of, promise
from tests.training.parts import TEXTS
from training.registry.registry import RELEASE
from training.scoring import Scorer


def test_a_release_answers_as_its_models_do(release, topic_model, mood_model):
    answer = release.answer(TEXTS)
    for task, folder in (("topic", topic_model), ("mood", mood_model)):
        alone = Scorer.load(folder).score(TEXTS).frame()
        assert answer[task].to_list() == alone["label"].to_list()
        for figure in ("confidence", "margin"):
            np.testing.assert_allclose(answer[f"{task}_{figure}"], alone[figure], atol=1e-6)
    assert answer["release"].unique().to_list() == [release.about.release_id]
    assert answer.columns == [
        *("topic", "topic_confidence", "topic_margin", "topic_novelty"),
        *("mood", "mood_confidence", "mood_margin", "mood_novelty"),
        *("handoff", "handoff_reason", "release"),
    ]


def test_it_steps_aside_where_its_policy_says_so(release):
    answer = release.answer(TEXTS)
    assert answer["handoff_reason"][-1] == "empty_text"
    for topic, mood, reason in answer.head(-1).select("topic", "mood", "handoff_reason").iter_rows():
        expected = "high_risk:topic" if topic == "refund" else "high_risk:mood" if mood == "refund" else ""
        assert reason == expected
    assert answer["handoff"].to_list() == [reason != "" for reason in answer["handoff_reason"]]
    assert set(answer["handoff"]) == {True, False}


def test_no_texts_give_no_rows_of_the_same_columns(release):
    assert release.answer([]).schema == release.answer(["hi"]).schema
    assert release.answer([]).height == 0
    assert release.public_answer([]).shape == (0, 7)


def test_what_is_public_lacks_the_margins(release):
    public = release.public_answer(TEXTS)
    assert list(public.columns) == [
        *("topic", "topic_confidence", "mood", "mood_confidence"),
        *("handoff", "handoff_reason", "release"),
    ]
    assert public["topic"].tolist() == release.answer(TEXTS)["topic"].to_list()


def test_the_same_parts_make_the_same_release_and_others_another(tmp_path, topic_model, mood_model, policy):
    one = build_release({"topic": topic_model}, policy, tmp_path / "one")
    same = build_release({"topic": topic_model}, policy, tmp_path / "same")
    other = build_release({"topic": mood_model}, policy, tmp_path / "other")
    stricter = policy.model_copy(update={"config": policy.config.model_copy(update={"min_cases": 31})})
    refitted = build_release({"topic": topic_model}, stricter, tmp_path / "refitted")
    assert one == same
    assert len({one.release_id, other.release_id, refitted.release_id}) == 3
    assert load_description(tmp_path / "one") == one


def test_a_build_that_was_killed_is_begun_anew(tmp_path, topic_model, policy):
    (tmp_path / "release" / "models" / "topic").mkdir(parents=True)
    (tmp_path / "release" / "models" / "topic" / "half").write_text("")
    with pytest.raises(ModelError, match=r"found no release.json"):
        Release.load(tmp_path / "release")
    about = build_release({"topic": topic_model}, policy, tmp_path / "release")
    assert Release.load(tmp_path / "release").about == about


def test_a_changed_model_is_noticed(tmp_path, release_folder):
    damaged = shutil.copytree(release_folder, tmp_path / "release")
    head = damaged / "models" / "mood" / "head.safetensors"
    head.write_bytes(head.read_bytes()[:-1] + b"\x01")
    with pytest.raises(ModelError, match="the mood model that it was built with"):
        Release.load(damaged)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"schema_version": 9}'])
def test_a_damaged_description_is_told(tmp_path, release_folder, content):
    damaged = shutil.copytree(release_folder, tmp_path / "release")
    (damaged / "release.json").write_text(content)
    with pytest.raises(ModelError, match="damaged or of another version"):
        Release.load(damaged)


def test_a_missing_model_and_a_folder_that_cannot_be_made_are_told(tmp_path, topic_model, policy):
    with pytest.raises(ModelError, match="found no files there: train it again"):
        build_release({"topic": tmp_path / "nowhere"}, policy, tmp_path / "release")
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match=r"cannot be written to .*free some space"):
        build_release({"topic": topic_model}, policy, tmp_path / "file" / "release")


def test_the_champion_gives_rows_for_the_predictions_table(release):
    ids = pl.Series("interaction_id", [f"i{number}" for number in range(len(TEXTS))])
    rows = Champion("7", release).predict(ids, pl.Series("text", TEXTS))
    assert rows.height == 2 * len(TEXTS)
    assert rows.schema == {name: t.PREDICTIONS.schema[name] for name in rows.columns}
    assert set(t.PREDICTIONS.schema) - set(rows.columns) == {"model_version", "shown", "predicted_at"}
    answer = release.answer(TEXTS)
    moods = rows.filter(task="mood")
    assert moods["interaction_id"].to_list() == ids.to_list()
    assert moods["label"].to_list() == answer["mood"].to_list()
    assert moods["handoff"].to_list() == answer["handoff"].to_list()


def test_the_champion_steps_aside_by_the_threshold_of_each_group(release):
    policy = policy_of("topic", group_by="channel")
    policy = policy.model_copy(update={"groups": {"voice": promise(None), "chat": promise(1.0)}})
    grouped = Release(release.about.model_copy(update={"handoff": policy}), release.scorers, folder=release.folder)
    ids, texts = pl.Series(["a", "b", "c"]), pl.Series(["refund it"] * 3)
    groups = pl.DataFrame({"channel": ["voice", "chat", None], "segment": [None] * 3, "language": [None] * 3})
    handed = Champion("7", grouped).predict(ids, texts, groups).filter(task="topic")["handoff"].to_list()
    alone = Champion("7", grouped).predict(ids, texts).filter(task="topic")["handoff"].to_list()
    assert handed == [True, False, alone[0]]
    assert len(set(alone)) == 1


def test_without_the_alias_there_is_no_champion(mlflow_registry):
    assert open_champion(mlflow_registry) is None
    assert mlflow_registry.versions(RELEASE) == []


def changed_since(**change) -> Taxonomy:
    """Return a taxonomy in which ``topic`` had the labels of the models before ``change``."""
    labels = tuple(Label(name=name, title=name) for name in ("parcel", "refund", "other"))
    kept = tuple(label for label in labels if label.name not in change.get("retire", ()))
    task = Task(name="topic", question="What?", labels=kept, rejects=True)
    migration = Migration(version=2, tasks={"topic": LabelChange(**change)})
    return Taxonomy(schema_version=1, version=2, tasks=(task,), migrations=(migration,))


def test_a_release_of_an_older_taxonomy_answers_in_the_labels_of_today(release, release_folder):
    renamed = Release.load(release_folder, changed_since(rename={"delivery": "parcel"})).answer(TEXTS)
    before = release.answer(TEXTS)
    assert renamed["topic"].to_list() == ["parcel" if said == "delivery" else said for said in before["topic"]]
    assert renamed.drop("topic").equals(before.drop("topic"))


def test_an_answer_that_was_retired_since_goes_to_a_person(release, release_folder):
    kept = [row for row, reason in enumerate(release.answer(TEXTS)["handoff_reason"]) if not reason]
    assert kept
    retired = Release.load(release_folder, changed_since(retire=("delivery",))).answer(TEXTS)
    outside = Release.load(release_folder, changed_since(merge={"none_of_these": ("delivery",)})).answer(TEXTS)
    for row in kept:
        assert retired.row(row, named=True)["topic"] == "refund"
        assert retired["topic_confidence"][row] < 0.5
        assert retired["handoff_reason"][row] == "retired_label:topic"
        assert (outside["topic"][row], outside["handoff_reason"][row]) == ("none_of_these", "none_of_these:topic")
