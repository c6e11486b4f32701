"""What a release says of conversations, live: answers, mood, whether a person should take over, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from serving.conversation import Conversation
from serving.handoff.cases import Answers
from serving.handoff.decisions import Reason
from serving.release import Release
from serving.sentiment_path import SentimentPath
from training.scoring import Scores

_ALTERNATIVES: Final = 3


@dataclass(frozen=True)
class Answer:
    """One task's answer to the last customer turn.

    Attributes:
        label: the likeliest, in today's taxonomy.
        confidence: its calibrated probability, in [0, 1].
        alternatives: the likeliest labels with their probabilities, the answer among them, three at most.
        novelty: how little the message is like anything learnt (0: nothing remarkable); None where not measured.
    """

    label: str
    confidence: float
    alternatives: tuple[tuple[str, float], ...]
    novelty: float | None

    @property
    def margin(self) -> float:
        """The confidence less the second likeliest label's, in [0, 1]; the confidence itself where there is none."""
        return self.confidence - (self.alternatives[1][1] if len(self.alternatives) > 1 else 0.0)


@dataclass(frozen=True)
class Triage:
    """What a release says of one conversation.

    Attributes:
        answers: by task.
        sentiment: the customer's mood over the conversation; without turns where no task reads it.
        in_scope: whether the message is about something that the release knows.
        handoff: whether a person should take over.
        reasons: why, the strongest first; empty where the answer is kept.
        risk: how likely the answer would be wrong if it were kept, in [0, 1].
        threshold: the largest risk that is kept, None where nothing is.
        propensity: how likely this very decision was, in (0, 1]; below 1 only where chance had a part.
        release: the id of the release.
    """

    answers: Mapping[str, Answer]
    sentiment: SentimentPath
    in_scope: bool
    handoff: bool
    reasons: tuple[Reason, ...]
    risk: float
    threshold: float | None
    propensity: float
    release: str

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it: what the gateway answers and its log keeps. No customer's word is in it."""
        answers = {
            task: {
                **vars(answer),
                "alternatives": [{"label": name, "confidence": sure} for name, sure in answer.alternatives],
            }
            for task, answer in self.answers.items()
        }
        path = {**vars(self.sentiment), "turns": [{**vars(turn)} for turn in self.sentiment.turns]}
        return {
            **vars(self),
            "answers": answers,
            "sentiment": path,
            "reasons": [{**vars(reason)} for reason in self.reasons],
        }


def triage(
    release: Release,
    conversations: Sequence[Conversation],
    rng: np.random.Generator | None = None,
    *,
    own: Mapping[str, Scores] | None = None,
) -> list[Triage]:
    """Return what ``release`` says of n conversations, in one pass over all their customer turns.

    Answers are to the last customer turn, mood is read over the last turns (``sentiment.turns`` of handoff.yaml), so
    that a conversation of any length costs no more.

    Args:
        release: loaded.
        conversations: n of them; one in which the customer said nothing goes to a person.
        rng: the source of chance near the threshold; without one the threshold alone decides.
        own: what ``release.score`` says of the turns that count (``take_turns``), where that was asked before.
    """
    if not conversations:
        return []
    cases, policy = release.read(conversations, own).cases, release.about.handoff
    outside, alarms = policy.out_of_scope(cases), policy.alarms(cases)
    answers = {task: _answers(said) for task, said in cases.answers.items()}
    return [
        Triage(
            answers={task: told[row] for task, told in answers.items()},
            sentiment=SentimentPath.of(cases.moods[row], alarm=bool(alarms[row])),
            in_scope=not outside[row],
            handoff=decision.handoff,
            reasons=decision.reasons,
            risk=decision.risk,
            threshold=decision.threshold,
            propensity=decision.propensity,
            release=release.about.release_id,
        )
        for row, decision in enumerate(release.decide(cases, rng))
    ]


def _answers(said: Answers) -> list[Answer]:
    labels, probabilities = said.scores.labels, said.scores.probabilities
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :_ALTERNATIVES]
    novelty = np.full(len(order), np.nan) if said.scores.novelty is None else said.scores.novelty
    found = []
    for row, places in enumerate(order):
        likely = tuple((labels[place], round(float(probabilities[row, place]), 6)) for place in places)
        strange = None if np.isnan(novelty[row]) else round(float(novelty[row]), 4)
        found.append(Answer(likely[0][0], likely[0][1], likely, strange))
    return found
