"""What was asked, in one form for every kind: its texts to redact, and the event that the log keeps of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final, Generic, TypeVar

from labeling.sources.arrivals import customer_mark, safe_id
from labeling.tables import CLOCK_TOLERANCE
from labeling.vocabulary import NOTHING
from serving.conversation import CUSTOMER, Conversation, Turn
from serving.gateway.bodies import Body, CorrectionBody, EscalationBody, FeedbackBody, TriageBody

SCHEMA_VERSION: Final = 1
"""Of an event in the log."""

AnyBody = TypeVar("AnyBody", bound=Body)


@dataclass(frozen=True)
class Question(Generic[AnyBody]):
    """One message, correction or escalation.

    Attributes:
        body: what the client sent.
        id: of the interaction, correction or escalation; the client's, or made here.
        client: the name of the client's key.
        at: when it came.
        repeat: digest of what it may be repeated under, "" where it may not.
        asked: digest of ``body``.
        key: the home's, for keyed digests.
    """

    kind: ClassVar[str]
    is_taken_over: ClassVar[bool] = False
    """Whether a person has the conversation, whatever the release says."""

    body: AnyBody
    id: str
    client: str
    at: datetime
    repeat: str
    asked: str
    key: bytes

    def texts(self) -> Sequence[str]:
        """Return every string that may hold personal data, to be redacted before anything is done with it."""
        raise NotImplementedError

    def event(self, redacted: Sequence[str]) -> dict[str, Any]:
        """Return what the log keeps of the question, given ``texts`` after redaction."""
        return {
            "v": SCHEMA_VERSION,
            "kind": self.kind,
            "at": self.at.isoformat(),
            "client": self.client,
            **({"repeat": self.repeat, "asked": self.asked} if self.repeat else {}),
        }

    def _when(self, claimed: datetime | None) -> datetime:
        """Return a client's time, ours where it has none or its clock runs ahead."""
        return claimed if claimed and claimed <= self.at + CLOCK_TOLERANCE else self.at

    def _safe(self, name: str | None) -> str | None:
        return None if name is None else safe_id(self.key, name)


@dataclass(frozen=True)
class TriageQuestion(Question[TriageBody]):
    """A message that waits for an answer; so many of the last turns are read as ``longest`` says."""

    kind = "triage"

    longest: int = 1

    def texts(self) -> Sequence[str]:
        """Return the turns' texts, then channel, segment and language."""
        about = (self.body.channel, self.body.segment, self.body.language)
        return [*(turn.text for turn in self.body.said(longest=self.longest)), *(each or "" for each in about)]

    def conversation(self, redacted: Sequence[str]) -> Conversation:
        """Return the conversation as the model may see it."""
        *said, channel, segment, language = redacted
        turns = zip(self.body.said(longest=self.longest), said, strict=True)
        return Conversation(
            tuple(Turn(turn.role, text, turn.at) for turn, text in turns),
            channel=channel or None,
            segment=segment or None,
            language=language or None,
        )

    def event(self, redacted: Sequence[str]) -> dict[str, Any]:
        """Return the event with the message as an interaction; without, where nothing was said."""
        conversation, body = self.conversation(redacted), self.body
        text = conversation.last_customer_text()
        head = super().event(redacted)
        if not text:
            return head
        occurred_at = self._when(body.occurred_at).isoformat()
        interaction = {
            "interaction_id": self.id,
            "conversation_id": self._safe(body.conversation_id) or self.id,
            "turn": self._turn(),
            "occurred_at": occurred_at,
            "updated_at": occurred_at,
            "channel": conversation.channel,
            "language": conversation.language,
            "segment": conversation.segment,
            "customer_id": customer_mark(self.key, body.customer_id) if body.customer_id else None,
            "text": text,
        }
        return {**head, "interaction": _present(interaction)}

    def _turn(self) -> int:
        places = [place for place, turn in enumerate(self.body.turns or ()) if turn.role == CUSTOMER]
        return places[-1] if places else self.body.turn


@dataclass(frozen=True)
class HandoffQuestion(TriageQuestion):
    """A conversation that a person takes over; its message is recorded unless an earlier answer named it."""

    kind = "handoff"
    is_taken_over = True

    def event(self, redacted: Sequence[str]) -> dict[str, Any]:
        """Return the event, with the message as an interaction where it has not been one yet."""
        event = super().event(redacted)
        if self.body.interaction_id:
            event.pop("interaction", None)
        return {**event, "about": {"interaction_id": self.id}}


@dataclass(frozen=True)
class FeedbackQuestion(Question[FeedbackBody]):
    """One thing that was ``missing`` in a package, or that nothing was."""

    kind = "feedback"

    missing: str = NOTHING

    def texts(self) -> Sequence[str]:
        """Return the note."""
        return [self.body.note or ""]

    def event(self, redacted: Sequence[str]) -> dict[str, Any]:
        """Return the event with the feedback."""
        body = self.body
        feedback = {
            "feedback_id": self.id,
            "interaction_id": self._safe(body.interaction_id),
            "agent_id": self._safe(body.agent_id),
            "given_at": self._when(body.given_at).isoformat(),
            "helped": body.helped,
            "missing": self.missing,
            "note": redacted[0] or None,
        }
        return {**super().event(redacted), "feedback": _present(feedback)}


@dataclass(frozen=True)
class CorrectionQuestion(Question[CorrectionBody]):
    """A correction to record."""

    kind = "correction"

    def texts(self) -> Sequence[str]:
        """Return the reason, and the label before, which a client may have filled with anything."""
        return [self.body.reason or "", self.body.previous_label or ""]

    def event(self, redacted: Sequence[str]) -> dict[str, Any]:
        """Return the event with the correction."""
        body = self.body
        correction = {
            "correction_id": self.id,
            "interaction_id": self._safe(body.interaction_id),
            "task": body.task,
            "label": body.label,
            "previous_label": redacted[1] or None,
            "agent_id": self._safe(body.agent_id),
            "corrected_at": self._when(body.corrected_at).isoformat(),
            "reason": redacted[0] or None,
        }
        return {**super().event(redacted), "correction": _present(correction)}


@dataclass(frozen=True)
class EscalationQuestion(Question[EscalationBody]):
    """An escalation to record."""

    kind = "escalation"

    def texts(self) -> Sequence[str]:
        """Return the resolved intent, which a client may have filled with anything."""
        return [self.body.resolved_intent or ""]

    def event(self, redacted: Sequence[str]) -> dict[str, Any]:
        """Return the event with the escalation."""
        body = self.body
        closed_at = self._when(body.closed_at) if body.closed_at else None
        escalated_at = self._when(body.escalated_at)
        escalation = {
            **body.model_dump(mode="json", exclude={"closed_at"}),
            "escalation_id": self.id,
            "conversation_id": self._safe(body.conversation_id),
            "interaction_id": self._safe(body.interaction_id),
            "escalated_at": min(filter(None, (escalated_at, closed_at))).isoformat(),
            "closed_at": closed_at.isoformat() if closed_at else None,
            "resolved_intent": redacted[0] or None,
        }
        return {**super().event(redacted), "escalation": _present(escalation)}


def _present(columns: Mapping[str, Any]) -> dict[str, Any]:
    return {column: value for column, value in columns.items() if value is not None}


def read_texts(questions: Sequence[Question[Any]]) -> Iterator[str]:
    """Yield the texts of all ``questions``, in order."""
    for question in questions:
        yield from question.texts()
