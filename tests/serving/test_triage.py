import json

import numpy as np
import pytest

from serving.conversation import Conversation, Turn
from serving.handoff.config import SentimentSettings
from serving.release import Release
from serving.triage import triage
from tests.serving.policies import policy_of
from tests.training.parts import TEXTS

MOOD = SentimentSettings(task="mood", ratings={"delivery": 1, "refund": -1}, turns=3, false_alarm_rate=0.1)


@pytest.fixture(scope="module")
def moody(release) -> Release:
    """The release with a policy that follows ``mood``."""
    policy = policy_of("topic", confidence=0.6, sentiment=MOOD, band={"width": 0.9, "flip": 0.5})
    about = release.about.model_copy(update={"handoff": policy})
    return Release(about, release.scorers, folder=release.folder)


def test_a_text_and_a_conversation_of_one_turn_are_decided_alike(release):
    answer = release.answer(TEXTS)
    found = triage(release, [Conversation.of_text(text) for text in TEXTS])
    for row, said in zip(answer.iter_rows(named=True), found, strict=True):
        assert {task: said.answers[task].label for task in said.answers} == {"topic": row["topic"], "mood": row["mood"]}
        assert said.answers["topic"].confidence == pytest.approx(row["topic_confidence"], abs=1e-5)
        assert said.answers["topic"].margin == pytest.approx(row["topic_margin"], abs=1e-5)
        assert (said.handoff, said.reasons[0].code if said.reasons else "") == (row["handoff"], row["handoff_reason"])
        assert (said.release, said.propensity) == (row["release"], 1.0)
        assert 0 <= said.risk <= 1


def test_answers_are_to_the_last_customer_turn_and_mood_is_read_over_the_last_ones(moody):
    said = ["where is my parcel", "it is late", "I want my money back", "send it back to me", "refund"]
    turns = [turn for text in said for turn in (Turn("customer", text), Turn("assistant", "please wait"))]
    [found] = triage(moody, [Conversation(tuple(turns), channel="chat")])
    alone = triage(moody, [Conversation.of_text(text) for text in said[-3:]])
    assert found.answers["topic"] == alone[-1].answers["topic"]
    assert [turn.score for turn in found.sentiment.turns] == pytest.approx(
        [one.sentiment.turns[0].score for one in alone], abs=1e-5
    )
    assert found.sentiment.low == min(turn.score for turn in found.sentiment.turns)


def test_what_is_read_does_not_grow_with_the_conversation_and_silence_goes_to_a_person(moody):
    long = Conversation(tuple(Turn("customer", f"refund {number}") for number in range(10_000)))
    conversations = [long, Conversation.of_text("parcel"), Conversation(())]
    assert len(moody.read(conversations).turns.texts) == MOOD.turns + 1 + 1
    found = triage(moody, conversations)
    assert len(found) == 3
    assert found[2].reasons[0].signal == "empty_text"
    assert found[2].sentiment.turns == ()
    assert triage(moody, []) == []


def test_a_repeated_question_and_a_wish_for_a_person_are_noticed(moody):
    asked = "where does my parcel with the shoes stay"
    turns = (Turn("customer", asked), Turn("assistant", "it was sent"), Turn("customer", asked + " now"))
    again = moody.read([Conversation(turns), Conversation.of_text("let me talk to a human")]).cases
    assert again.repetition[0] > 0.7
    assert again.wishes.tolist() == [False, True]


def test_chance_is_noted_and_what_is_kept_holds_no_word_of_the_customers(moody):
    texts = [text for text in TEXTS if text.strip()]
    rng = np.random.default_rng(0)
    found = [triage(moody, [Conversation.of_text(f"{text} xyzzy")], rng)[0] for text in texts * 3]
    assert {one.propensity for one in found} & {0.5}
    told = json.dumps([one.to_json() for one in found])
    assert "xyzzy" not in told
    first = json.loads(told)[0]
    assert set(first) == {
        *("answers", "sentiment", "in_scope", "handoff", "reasons", "risk", "threshold", "propensity", "release"),
    }
    assert set(first["answers"]["topic"]) == {"label", "confidence", "alternatives", "novelty"}
    assert first["answers"]["topic"]["alternatives"][0]["label"] == first["answers"]["topic"]["label"]
