import json

import pytest

from assets.judging import describe_gates, judge_release
from serving.handoff import HandoffConfig, HandoffPolicy, Threshold
from serving.release import Release, build_release
from tests.training.parts import MESSAGES, saved_model
from training.judging.gates import join_verdicts, judge


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """A release of one task, ``topic``, of the labels delivery and refund."""
    folder = tmp_path_factory.mktemp("judged")
    config = HandoffConfig(schema_version=1, promised_error_share=0.2, confidence=0.9, min_cases=30)
    fitted = Threshold(threshold=0.9, cases=100, kept=50, wrong=0, error_bound=0.05)
    policy = HandoffPolicy(config=config, thresholds={"topic": fitted})
    build_release({"topic": saved_model(folder / "topic")}, policy, folder / "of")
    return Release.load(folder / "of")


@pytest.fixture
def judged(stocked, release, mlflow_registry):
    """Return a function that judges the release on test cases whose truth is what it says, but for the first ones."""

    def on_cases(*, wrong):
        texts = [text for messages in MESSAGES.values() for text in messages]
        said = release.scorers["topic"].score(texts).frame()["label"].to_list()
        other = {"delivery": "refund", "refund": "delivery"}
        truth = [other[label] if row < wrong else label for row, label in enumerate(said)]
        names = [f"case-{row:02d}" for row in range(len(texts))]
        for name, text in zip(names, texts, strict=True):
            stocked.interactions(name, lot="audit", part="test", text=text)
        stocked.labels(dict(zip(names, truth, strict=True)), task="topic")
        stocked.interactions("calibrate", lot="audit", part="calibrate", text=texts[0])
        stocked.interactions("open", text=texts[0])
        stocked.labels({"calibrate": other[said[0]], "open": other[said[0]]}, task="topic")
        return judge_release(stocked.loop, release, mlflow_registry)

    return on_cases


def test_a_release_is_scored_on_the_test_part_alone(judged):
    found = judged(wrong=6)
    assert found.metrics["topic_accuracy"] == pytest.approx(24 / 30)
    card = json.loads(found.documents["scorecard_topic.json"])
    assert card["cases"] == 30
    assert found.documents["gates.md"] == found.summary


def test_without_test_cases_nothing_is_claimed(stocked, release, mlflow_registry):
    found = judge_release(stocked.loop, release, mlflow_registry)
    assert found.verdict == "inconclusive"
    assert found.metrics == {}
    assert list(found.documents) == ["gates.md"]


def test_gates_are_told_in_one_table_with_what_would_help(stocked):
    verdict = judge(["a"] * 3, None, ["a"] * 3, stocked.loop.settings.gates)
    head, rule, *rows = describe_gates(join_verdicts({"topic": verdict})).splitlines()
    assert head == "| gate | verdict | measured | needed | what would help |"
    assert rule.count("|") == 6
    assert len(rows) == len(join_verdicts({"topic": verdict}).gates) > 0
    assert all(row.count("|") == 6 for row in rows)
    assert any("undecided" in row for row in rows)
