"""Releases that were built before risks decide as they always did."""

import json

import numpy as np

from labeling.vocabulary import NONE_OF_THESE
from serving.handoff.first_version import ConfidencePolicy
from serving.release import Release, load_description
from tests.serving.handoff.parts import answers_of, cases_of

STORED = {
    "schema_version": 1,
    "config": {
        "schema_version": 1,
        "promised_error_share": 0.2,
        "confidence": 0.9,
        "min_cases": 30,
        "tasks": ["intent", "mood"],
        "high_risk_labels": ["fraud"],
    },
    "thresholds": {
        task: {"threshold": 0.7, "cases": 900, "kept": 600, "wrong": 90, "error_bound": 0.17}
        for task in ("intent", "mood")
    },
}


def test_reasons_in_their_order():
    policy = ConfidencePolicy.model_validate(STORED)
    labels = ["refund", "refund", "fraud", NONE_OF_THESE, "refund", "refund", "fraud"]
    confidences = np.array([0.7, 1.0, 1.0, 1.0, 0.69, 1.0, 0.3])
    cases = cases_of(
        answers_of(confidences, labels), mood=answers_of([1, 1, 1, 1, 0.3, 0.3, 1.0]), texts=[*"a ", *"bcdef"]
    )
    decided = policy.decide(cases, np.random.default_rng(0))
    assert [decision.reason for decision in decided] == [
        *("", "empty_text", "high_risk:intent", "none_of_these:intent"),
        *("low_confidence:intent", "low_confidence:mood", "high_risk:intent"),
    ]
    assert policy.keeps(cases).tolist() == [not decision.handoff for decision in decided]
    assert policy.out_of_scope(cases).tolist() == [label == NONE_OF_THESE for label in labels]
    assert not policy.alarms(cases).any()
    assert policy.tell() == "It steps aside at intent: a confidence below 0.70; mood: a confidence below 0.70."
    assert policy.figures()["mood.kept"] == "600"


def test_where_no_threshold_held_everything_is_handed_off_and_other_tasks_never_are():
    none = {"threshold": None, "cases": 5, "kept": 0, "wrong": 0, "error_bound": None}
    policy = ConfidencePolicy.model_validate(STORED | {"thresholds": {"intent": none}})
    [decision] = policy.decide(cases_of(answers_of([1.0])))
    assert (decision.reason, decision.threshold) == ("low_confidence:intent", None)
    elsewhere = ConfidencePolicy.model_validate(STORED | {"thresholds": {"topic": none}})
    assert not elsewhere.decide(cases_of(answers_of([0.3])))[0].handoff


def test_a_stored_release_of_the_first_version_loads_and_decides(tmp_path, release_folder):
    import shutil

    folder = shutil.copytree(release_folder, tmp_path / "release")
    about = json.loads((folder / "release.json").read_text())
    threshold = {"threshold": 0.9, "cases": 100, "kept": 50, "wrong": 0, "error_bound": 0.05}
    config = STORED["config"] | {"tasks": [], "high_risk_labels": ["refund"]}
    stored = {"schema_version": 1, "config": config, "thresholds": {"topic": threshold}}
    (folder / "release.json").write_text(json.dumps(about | {"handoff": stored}))
    assert isinstance(load_description(folder).handoff, ConfidencePolicy)
    old, new = Release.load(folder), Release.load(release_folder)
    texts = ["where is my parcel", "I want my money back", "", "talk to a human"]
    before, after = old.answer(texts), new.answer(texts)
    assert before.drop("handoff", "handoff_reason").equals(after.drop("handoff", "handoff_reason"))
    assert "wish_for_person" not in before["handoff_reason"].to_list()
