"""What was asked and what was answered, in either direction, told from the turns alone."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from pydantic import Field

from labeling.config import Config
from serving.conversation import CUSTOMER, Conversation, Role, Turn

OPENING_TURNS: Final = 20
LAST_TURNS: Final = 380
"""Of a longer conversation than both together, its opening and its end are read: the work stays bounded."""

MOST_CHARACTERS: Final = 4_000
"""Characters of one turn that are read."""

_SENTENCES: Final = re.compile(r"(?<=[.!?。！？])\s+|\n+")
_ASKS: Final = re.compile(
    r"(?i)^(?:and |so |ok(?:ay)?,? |thank(?:s| you),? |sure,? )*"
    r"(?:please (?:tell|give|provide|enter|confirm|state|describe|share|send)|what(?:'s)?|which|when|where|who|how|"
    r"(?:could|can|may|would|will|do|does|did|is|are|have|has) (?:you|i|we|your|there|it))\b"
)
_TERM: Final = re.compile(r"<[A-Z][A-Z_]+>|\w+(?:[.:,'’/@-]\w+)*")
_SAME: Final = 0.6
"""Two questions whose terms overlap by this share (Jaccard) are one question, asked again."""


class Exchange(Config):
    """A question and its answer.

    Attributes:
        asked_by: who asked.
        question: the sentence that asks.
        answer: what the other side said next; None while it is open.
        turn: the place of the answer (of the question while it is open), from 1.
        times: how often it was asked, in so many words or nearly (>= 1); ``answer`` is the newest.
    """

    asked_by: Role
    question: str
    answer: str | None
    turn: int = Field(ge=1)
    times: int = Field(default=1, ge=1)


def numbered_turns(conversation: Conversation) -> list[tuple[int, Turn]]:
    """Return the turns with their places from 1; of a very long conversation, or turn, what is read of it."""
    turns = list(enumerate(conversation.turns, start=1))
    if len(turns) > OPENING_TURNS + LAST_TURNS:
        turns = turns[:OPENING_TURNS] + turns[-LAST_TURNS:]
    return [(place, replace(turn, text=turn.text[:MOST_CHARACTERS])) for place, turn in turns]


def split_sentences(text: str) -> list[str]:
    """Return the sentences of ``text``, trimmed, without empty ones."""
    return [sentence for part in _SENTENCES.split(text) if (sentence := " ".join(part.split()))]


def find_terms(text: str) -> list[str]:
    """Return the words that carry meaning, in lower case; a placeholder such as ``<EMAIL>`` is one word.

    English function words are left out (scikit-learn's list); in other languages all words are terms.
    """
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    words = [word if word.startswith("<") else word.lower().removesuffix("'s") for word in _TERM.findall(text)]
    return [word for word in words if word not in ENGLISH_STOP_WORDS]


def find_question(text: str) -> str | None:
    """Return the last sentence of ``text`` that asks something, None where none does.

    A question mark tells in any language; without one, the ways in which English asks.
    """
    asking = [one for one in split_sentences(text) if one.endswith(("?", "？")) or _ASKS.match(one)]
    return asking[-1] if asking else None


def find_exchanges(conversation: Conversation) -> tuple[Exchange, ...]:
    """Return every question with its answer, in the order of the answers; one asked again stands once."""
    found: list[Exchange] = []
    terms: list[set[str]] = []
    for exchange in _pair(numbered_turns(conversation)):
        asked = set(find_terms(exchange.question))
        place = next((row for row, known in enumerate(terms) if _is_same(found[row], exchange, known, asked)), None)
        if place is None:
            found.append(exchange)
            terms.append(asked)
            continue
        known = found.pop(place)
        terms.append(terms.pop(place))
        found.append(exchange.model_copy(update={"times": known.times + 1, "answer": exchange.answer or known.answer}))
    return tuple(found)


def _pair(turns: list[tuple[int, Turn]]) -> Iterator[Exchange]:
    """Yield each question with what the other side said next, as it stands in the conversation."""
    waiting: dict[bool, tuple[int, Role, str]] = {}
    for place, turn in turns:
        is_customer = turn.role == CUSTOMER
        if said := waiting.pop(not is_customer, None):
            yield Exchange(asked_by=said[1], question=said[2], answer=" ".join(turn.text.split()), turn=place)
        if question := find_question(turn.text):
            waiting[is_customer] = (place, turn.role, question)
    for place, role, question in waiting.values():
        yield Exchange(asked_by=role, question=question, answer=None, turn=place)


def _is_same(known: Exchange, new: Exchange, known_terms: set[str], new_terms: set[str]) -> bool:
    if (known.asked_by == CUSTOMER) != (new.asked_by == CUSTOMER) or not (known_terms and new_terms):
        return False
    return len(known_terms & new_terms) / len(known_terms | new_terms) >= _SAME
