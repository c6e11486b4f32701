"""A conversation, as it reaches the live side: who said what, in order."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

CUSTOMER: Final = "customer"

Role = Literal["customer", "agent", "assistant"]
"""Who speaks: the customer, a person who works for us, or the model's own answers."""


@dataclass(frozen=True)
class Turn:
    """One thing that was said; ``at`` is UTC, None where nobody noted when."""

    role: Role
    text: str
    at: datetime | None = None


@dataclass(frozen=True)
class Conversation:
    """Turns in the order in which they were said, and what is known of the customer's side of it.

    Attributes:
        turns: possibly none; the last customer turn is the one that waits for an answer.
        channel: where it takes place (chat, email, voice, ...), None where unknown.
        segment: which customers it comes from, None where unknown.
        language: a BCP 47 tag, None where unknown.
    """

    turns: tuple[Turn, ...]
    channel: str | None = None
    segment: str | None = None
    language: str | None = None

    @classmethod
    def of_text(cls, text: str) -> "Conversation":
        """Return a conversation of one customer turn."""
        return cls((Turn(CUSTOMER, text),))

    def customer_texts(self, last: int | None = None) -> Sequence[str]:
        """Return what the customer said, in order; only the ``last`` (>= 1) turns where a number is given."""
        said = [turn.text for turn in self.turns if turn.role == CUSTOMER]
        return said if last is None else said[-last:]

    def last_customer_text(self) -> str:
        """Return what waits for an answer, "" where the customer has said nothing."""
        return next((turn.text for turn in reversed(self.turns) if turn.role == CUSTOMER), "")
