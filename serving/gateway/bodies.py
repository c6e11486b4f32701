"""What clients send and get: the bodies of requests and answers, as the OpenAPI document shows them."""

from datetime import UTC, datetime
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from labeling.tables import FIELD_LIMIT, TEXT_LIMIT
from labeling.vocabulary import Helped, PackagePart
from serving.context.package import ContextPackage
from serving.conversation import CUSTOMER, Role

_MOST_TURNS: Final = 10_000
_FIRST_YEAR: Final = 1970


def _check_year(at: datetime) -> datetime:
    if not _FIRST_YEAR <= at.year < 9999:
        raise ValueError(f"needs a year from {_FIRST_YEAR} on")
    return at.astimezone(UTC)


Id = Annotated[str, Field(pattern=rf"^[^\u0000-\u001f\u007f\ufffd]{{1,{FIELD_LIMIT}}}$")]
"""An id: 1 to 200 characters, none of them a control character."""
Word = Annotated[str, Field(max_length=FIELD_LIMIT)]
Text = Annotated[str, Field(max_length=TEXT_LIMIT)]
At = Annotated[AwareDatetime, AfterValidator(_check_year)]


class Body(BaseModel):
    """Base of what clients send: closed against unknown fields, and of strict types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class TurnBody(Body):
    """One thing that was said: by the ``customer``, by an ``agent`` (a person), or by the ``assistant``."""

    role: Role
    text: Text
    at: Annotated[At | None, Field(strict=False)] = None


class TriageBody(Body):
    """A message, or the conversation that ends with it.

    Attributes:
        text: the customer's message; or …
        turns: … all turns so far, in order; the customer's last one is the message.
        interaction_id: your id of the message, if it has one; the answer holds ours otherwise.
        conversation_id: your id of the conversation; that of the interaction where there is none.
        customer_id: your id of the customer, kept as a keyed digest only.
        turn: the message's place in the conversation, from 0; counted where turns are sent.
        occurred_at: when the message was sent; now where it is missing or lies in the future.
        channel: such as chat or email.
        language: a BCP 47 tag.
        segment: which customers it comes from.
    """

    text: Text | None = None
    turns: Annotated[tuple[TurnBody, ...], Field(max_length=_MOST_TURNS, strict=False)] | None = None
    interaction_id: Id | None = None
    conversation_id: Id | None = None
    customer_id: Id | None = None
    turn: int = Field(default=0, ge=0, le=1_000_000)
    occurred_at: Annotated[At | None, Field(strict=False)] = None
    channel: Word | None = None
    language: Word | None = None
    segment: Word | None = None

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if (self.text is None) == (self.turns is None):
            raise ValueError("a message needs either text or turns")
        return self

    def said(self, *, longest: int) -> tuple[TurnBody, ...]:
        """Return the last ``longest`` turns; a text is a turn of the customer."""
        return (TurnBody(role=CUSTOMER, text=self.text or ""),) if self.turns is None else self.turns[-longest:]


class CorrectionBody(Body):
    """An agent's word that an interaction's label is another.

    ``task`` and ``label`` are the taxonomy's; ``previous_label`` is what stood there; ``agent_id`` names who corrects.
    """

    interaction_id: Id
    task: Word
    label: Word
    agent_id: Id
    correction_id: Id | None = None
    previous_label: Word | None = None
    corrected_at: Annotated[At | None, Field(strict=False)] = None
    reason: Text | None = None


class EscalationBody(Body):
    """A conversation that went to a person, and, once it is known, how it ended; send it again as it changes.

    ``trigger`` is what brought the person in: the model's handoff, the customer's wish, or an agent. ``csat`` is from 1
    to 5.
    """

    conversation_id: Id
    trigger: Literal["handoff", "customer", "agent"]
    escalation_id: Id | None = None
    interaction_id: Id | None = None
    escalated_at: Annotated[At | None, Field(strict=False)] = None
    needed: bool | None = None
    resolved: bool | None = None
    resolved_intent: Word | None = None
    first_contact: bool | None = None
    reopened: bool | None = None
    csat: int | None = Field(default=None, ge=1, le=5)
    handle_seconds: float | None = Field(default=None, ge=0, le=1e9, allow_inf_nan=False)
    closed_at: Annotated[At | None, Field(strict=False)] = None

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.escalated_at and self.closed_at and self.closed_at < self.escalated_at:
            raise ValueError("closed_at needs to be no earlier than escalated_at")
        return self


class FeedbackBody(Body):
    """An agent's word on the context package of ``interaction_id``: whether the AI helped, and what was missing."""

    interaction_id: Id
    helped: Helped
    feedback_id: Id | None = None
    agent_id: Id | None = None
    given_at: Annotated[At | None, Field(strict=False)] = None
    missing: Annotated[frozenset[PackagePart], Field(strict=False)] = frozenset()
    note: Annotated[str, Field(max_length=2_000)] | None = None


class TriageBatch(Body):
    """Messages to be answered together."""

    messages: Annotated[tuple[TriageBody, ...], Field(min_length=1, strict=False)]


class CorrectionBatch(Body):
    """Corrections to be recorded together."""

    corrections: Annotated[tuple[CorrectionBody, ...], Field(min_length=1, strict=False)]


class EscalationBatch(Body):
    """Escalations to be recorded together."""

    escalations: Annotated[tuple[EscalationBody, ...], Field(min_length=1, strict=False)]


class ReasonAnswer(BaseModel):
    """One signal that made the decision: its name, how strong it is, a sentence, and the task that it is about."""

    signal: str
    value: float
    why: str
    task: str = ""


class AlternativeAnswer(BaseModel):
    """A label and its calibrated probability, in [0, 1]."""

    label: str
    confidence: float


class TaskAnswer(BaseModel):
    """What is said of one task: the likeliest label, its calibrated probability, the three likeliest, novelty."""

    label: str
    confidence: float
    alternatives: list[AlternativeAnswer]
    novelty: float | None


class TurnAnswer(BaseModel):
    """The mood of one customer turn: its label, and the expected rating, in [-1, 1]."""

    label: str
    score: float


class SentimentAnswer(BaseModel):
    """The customer's mood over the last turns: each, the slope a turn, the lowest, and whether that is alarming."""

    turns: list[TurnAnswer]
    trend: float
    low: float | None
    alarm: bool


class TriageAnswer(BaseModel):
    """What is said of one message.

    Attributes:
        interaction_id: names the message in corrections and escalations.
        recorded: whether this answer is in the log, on disk; where it is not, it says "hand off".
        handoff: whether a person should answer.
        reasons: what made it so; empty where the answer is kept.
        answers: task to what is said of it; empty in degraded mode.
        sentiment: the customer's mood; null in degraded mode.
        in_scope: whether the message is about something that a label covers.
        risk: the estimated probability that the answer is wrong if it is kept.
        threshold: the risk up to which answers are kept.
        propensity: the probability with which this decision was made.
        release: which release answered.
        version: its registered version.
    """

    interaction_id: str
    recorded: bool
    handoff: bool
    reasons: list[ReasonAnswer]
    answers: dict[str, TaskAnswer] = {}
    sentiment: SentimentAnswer | None = None
    in_scope: bool | None = None
    risk: float | None = None
    threshold: float | None = None
    propensity: float = 1.0
    release: str | None = None
    version: str | None = None


class TriageBatchAnswer(BaseModel):
    """The answers, in the order of the messages."""

    answers: list[TriageAnswer]


class CorrectionAnswer(BaseModel):
    """The correction is in the log, on disk."""

    correction_id: str
    recorded: Literal[True]


class EscalationAnswer(BaseModel):
    """The escalation is in the log, on disk."""

    escalation_id: str
    recorded: Literal[True]


class CorrectionBatchAnswer(BaseModel):
    """The answers, in the order of the corrections."""

    answers: list[CorrectionAnswer]


class EscalationBatchAnswer(BaseModel):
    """The answers, in the order of the escalations."""

    answers: list[EscalationAnswer]


class HandoffAnswer(BaseModel):
    """The context package, and whether it is in the log, on disk, that it was asked for."""

    interaction_id: str
    recorded: bool
    package: ContextPackage


class FeedbackAnswer(BaseModel):
    """The feedback is in the log, on disk."""

    feedback_id: str
    recorded: Literal[True]


class Problem(BaseModel):
    """Why a request was not served (RFC 9457): ``status`` is HTTP's, ``faults`` what is wrong with which field."""

    title: str
    status: int
    detail: str
    faults: list[str] = []
