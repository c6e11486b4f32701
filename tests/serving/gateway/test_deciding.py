"""Champion and challenger read together: each answers as it would alone, and the one never harms the other."""

import numpy as np
import pytest

from serving.conversation import Conversation
from serving.gateway.deciding import Pair, decide
from serving.release import Champion, Release
from tests.serving.gateway.stage import post
from tests.training.parts import TEXTS
from training.scoring import JointScorer


@pytest.fixture(scope="module")
def both(small_releases) -> tuple[Champion, Champion]:
    one, two = (Release.load(folder) for folder in small_releases)
    return Champion("1", one), Champion("2", two)


def test_read_together_each_answers_as_alone(both):
    conversations = [Conversation.of_text(text) for text in TEXTS]
    together = Pair(*both).decide(conversations, rng=None)
    for said, release in zip(together, both, strict=True):
        alone = decide(release, conversations, rng=None)
        assert [one.version for one in said] == [release.version] * len(TEXTS)
        for one, other in zip(said, alone, strict=True):
            assert one.triage.handoff == other.triage.handoff
            for task, answer in one.triage.answers.items():
                assert answer.label == other.triage.answers[task].label
                assert answer.confidence == pytest.approx(other.triage.answers[task].confidence, abs=1e-4)


def test_the_margin_is_to_the_second_likeliest(both):
    said = decide(both[0], [Conversation.of_text("please refund me")], rng=np.random.default_rng(0))[0]
    frame = both[0].release.answer(["please refund me"])
    found = said.recorded()["predictions"]["topic"]
    assert found["label"] == frame["topic"][0]
    assert found["margin"] == pytest.approx(frame["topic_margin"][0], abs=1e-5)


def test_a_challenger_that_fails_leaves_the_champion_s_answers_as_they_are(stage, small_releases, monkeypatch):
    stage.add_release(small_releases[0])
    stage.add_release(small_releases[1], "challenger")
    stage.config = stage.config.model_copy(update={"shadow_share": 1.0})
    real = JointScorer.score
    with stage.serve() as client:
        monkeypatch.setattr(JointScorer, "score", lambda self, texts, on=None: _fail_if_joint(self, real, texts, on))
        answer = post(client, "/v1/triage", {"text": "refund"}).json()
        alarms = client.get("/ready").json()["alarms"]
    assert (answer["version"], answer["recorded"], answer["answers"] != {}) == ("1", True, True)
    assert alarms == ["shadow_failed"]
    assert "challenger" not in stage.events()[0]


def _fail_if_joint(scorer, real, texts, on):
    if any(name.startswith("challenger/") for name in scorer._scorers):
        raise RuntimeError("broken")
    return real(scorer, texts, on)
