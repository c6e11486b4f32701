"""The context package: one document for the person who takes a conversation over, as JSON."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import Field

from labeling.config import Config
from labeling.taxonomy import Taxonomy
from serving.context.exchanges import Exchange, find_exchanges
from serving.context.facts import Fact, find_facts
from serving.context.history import CustomerHistory
from serving.context.similar import NextAction, SimilarCase
from serving.context.summary import Line, summarise
from serving.conversation import Conversation

SCHEMA_VERSION: Final = 1
Part = Literal["similar_cases", "history"]


class Alternative(Config):
    """One answer to a task: the label, what people call it, and how sure the model is, in [0, 1]."""

    label: str
    title: str
    confidence: float = Field(ge=0, le=1)


class Answered(Config):
    """What the release says of one task; ``answers`` start with the likeliest (>= 1)."""

    task: str
    answers: tuple[Alternative, ...] = Field(min_length=1)


class Why(Config):
    """One signal that made the AI step aside, in a plain sentence without a customer's words."""

    signal: str
    why: str


class MoodPoint(Config):
    """The sentiment of one customer turn: ``score`` in [-1, 1] from worst to best; ``turn`` is its place from 1."""

    turn: int = Field(ge=1)
    label: str
    score: float = Field(ge=-1, le=1)


class Mood(Config):
    """How the sentiment went: ``trend`` is the slope a customer turn, ``lowest`` the place of the low point."""

    points: tuple[MoodPoint, ...] = Field(min_length=1)
    trend: float
    lowest: int = Field(ge=1)
    alarm: bool


class ContextPackage(Config):
    """Everything for the person who takes over.

    Attributes:
        schema_version: of this document; a new optional part does not raise it.
        interaction_id: the message that waits for an answer, None where the caller named none.
        made_at: when (UTC).
        release: the id of the release that stepped aside.
        channel: where the conversation takes place, None where unknown.
        language: its BCP 47 tag, None where unknown.
        turns: how many there were.
        wants: what the customer wants, and other tasks' answers, in the release's order; sentiment is in ``mood``.
        in_scope: whether the message is one that the release knows how to answer.
        why: why the AI stepped aside; empty where a person took over without it.
        risk: the estimated chance that the AI's answer would have been wrong, in [0, 1]; None where unknown.
        mood: None where no sentiment is known.
        summary: sentences as they were said, in order.
        asked: what was asked already, by either side, with the answers.
        facts: what the customer told; a placeholder stands where something was redacted.
        next_actions: what ended cases like this one, the most surely good first.
        similar_cases: the most similar resolved cases.
        history: the customer's; None where the customer is not known.
        lacking: the parts that could not be read just now, which is not the same as empty.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    interaction_id: str | None
    made_at: datetime
    release: str
    channel: str | None
    language: str | None
    turns: int = Field(ge=0)
    wants: tuple[Answered, ...]
    in_scope: bool
    why: tuple[Why, ...]
    risk: float | None
    mood: Mood | None
    summary: tuple[Line, ...]
    asked: tuple[Exchange, ...]
    facts: tuple[Fact, ...]
    next_actions: tuple[NextAction, ...]
    similar_cases: tuple[SimilarCase, ...]
    history: CustomerHistory | None
    lacking: tuple[Part, ...] = ()


def make_package(
    conversation: Conversation,
    triage: Mapping[str, Any],
    *,
    now: datetime,
    taxonomy: Taxonomy | None = None,
    similar: Sequence[SimilarCase] = (),
    next_actions: Sequence[NextAction] = (),
    history: CustomerHistory | None = None,
    lacking: Sequence[Part] = (),
    interaction_id: str | None = None,
) -> ContextPackage:
    """Put together what the agent needs; nothing is read or scored here.

    Args:
        conversation: as it was redacted; of the longest, the opening and the end are read.
        triage: ``serving.triage.Triage.to_json`` of it.
        now: stands in the package.
        taxonomy: gives labels their titles; without it their names stand.
        similar: ``SimilarCases.find``.
        next_actions: ``SimilarCases.rank_actions``.
        history: ``read_history``.
        lacking: the parts that could not be read.
        interaction_id: of the message that waits.
    """
    sentiment = triage.get("sentiment")
    return ContextPackage(
        interaction_id=interaction_id,
        made_at=now,
        release=triage["release"],
        channel=conversation.channel,
        language=conversation.language,
        turns=len(conversation.turns),
        wants=tuple(_read_answer(task, said, taxonomy) for task, said in triage["answers"].items()),
        in_scope=triage["in_scope"],
        why=tuple(Why(signal=reason["signal"], why=reason["why"]) for reason in triage["reasons"]),
        risk=triage.get("risk"),
        mood=_read_mood(conversation, sentiment) if sentiment else None,
        summary=summarise(conversation),
        asked=find_exchanges(conversation),
        facts=find_facts(conversation),
        next_actions=tuple(next_actions),
        similar_cases=tuple(similar),
        history=history,
        lacking=tuple(lacking),
    )


def _read_answer(task: str, said: Mapping[str, Any], taxonomy: Taxonomy | None) -> Answered:
    """Return the answer and its alternatives, each label once, the likeliest first."""
    pairs: dict[str, float] = {said["label"]: said["confidence"]} | {
        one["label"]: one["confidence"] for one in said["alternatives"] if one["label"] != said["label"]
    }
    titles = _titles(task, taxonomy)
    return Answered(
        task=task,
        answers=tuple(
            Alternative(
                label=label, title=titles.get(str(label)) or str(label).replace("_", " "), confidence=confidence
            )
            for label, confidence in pairs.items()
        ),
    )


def _plain(label: str) -> str:
    return label.replace("_", " ")


def _titles(task: str, taxonomy: Taxonomy | None) -> dict[str, str]:
    if taxonomy is None or task not in taxonomy.task_names:
        return {}
    return {label.name: label.title for label in taxonomy.task(task).labels}


def _read_mood(conversation: Conversation, sentiment: Mapping[str, Any]) -> Mood | None:
    """Return the path, None where nothing was scored; its points are of the last customer turns, as many as were."""
    said = sentiment["turns"]
    places = [place for place, turn in enumerate(conversation.turns, start=1) if turn.role == "customer"]
    points = tuple(
        MoodPoint(turn=place, label=one["label"], score=one["score"])
        for place, one in zip(places[-len(said) :] if said else (), said, strict=True)
    )
    if not points:
        return None
    lowest = min(points, key=lambda point: point.score)
    return Mood(points=points, trend=sentiment["trend"], lowest=lowest.turn, alarm=sentiment["alarm"])
