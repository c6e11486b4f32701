import json

import pytest
import yaml

from assets.judging import Asked, describe_gates, judge_against, judge_release
from serving.handoff import HandoffConfig, HandoffPolicy, Threshold
from serving.release import Release, build_release
from tests.assets.conftest import NOW
from tests.training.parts import MESSAGES, saved_model
from training.judging.gates import GateResult, conclude


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
        return judge_release(stocked.loop, release, mlflow_registry, Asked(parity=True))

    return on_cases


def test_a_release_is_scored_on_the_test_part_alone(judged):
    found = judged(wrong=6)
    assert found.metrics["topic_accuracy"] == pytest.approx(24 / 30)
    card = json.loads(found.documents["scorecard_topic.json"])
    assert card["cases"] == 30
    assert found.documents["gates.md"] == found.summary


def test_without_test_cases_nothing_is_claimed(stocked, release, mlflow_registry):
    found = judge_release(stocked.loop, release, mlflow_registry, Asked(parity=True))
    assert found.verdict == "inconclusive"
    assert found.metrics == {}
    assert list(found.documents) == ["gates.md"]


def test_gates_are_told_in_one_table_with_what_would_help():
    verdict = conclude(
        [
            GateResult("topic.enough_cases", "undecided", "3", "at least 50 test cases", "review 47 audit cases more"),
            GateResult("topic.slice_harmed", "failed", "lost 9", "no worse", "look", slice=("label", "refund")),
        ]
    )
    head, rule, *rows = describe_gates(verdict).splitlines()
    assert head == "| gate | verdict | measured | needed | what would help |"
    assert rule.count("|") == 6
    assert rows == [
        "| topic.enough_cases | undecided | 3 | at least 50 test cases | review 47 audit cases more |",
        "| topic.slice_harmed (label refund) | failed | lost 9 | no worse | look |",
    ]


def test_what_is_asked_of_a_judging_reaches_the_gates(judged, stocked, release):
    judged(wrong=6)
    (stocked.home.configs / "gates.yaml").write_text(_with(stocked, min_cases=20), encoding="utf-8")
    loop = type(stocked.loop)(home=str(stocked.home.path), now_is=NOW.isoformat(), desk="fake")

    def gates(asked):
        return {gate.name: gate for gate in judge_against(loop, release, release, asked).gates}

    improve, refresh = gates(Asked(parity=True, look=2)), gates(Asked(request="refresh"))
    assert "p at most 0.0072" in improve["topic.better"].needed
    assert "topic.better" not in refresh
    assert (improve["topic.parity"].verdict, refresh["topic.parity"].verdict) == ("passed", "undecided")
    assert improve["topic.personal_data"].measured == "0 findings"


def _with(stocked, **changes):
    raw = yaml.safe_load((stocked.home.configs / "gates.yaml").read_text(encoding="utf-8"))
    return yaml.safe_dump(raw | changes)
