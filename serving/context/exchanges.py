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

_SENTENCES: Final = re.compile(r"(?<=[.!?。！？])(?<!\b[DM]r\.)(?<!\bMrs\.)(?<!\bMs\.)(?<!\b[dm]r\.)(?<!\bNo\.)\s+|\n+")
_ASKS: Final = re.compile(
    r"(?i)^(?:and |so |ok(?:ay)?,? |thank(?:s| you),? |sure,? )*"
    r"(?:please (?:tell|give|provide|enter|confirm|state|describe|share|send)|what(?:'s)?|which|when|where|who|how|"
    r"(?:could|can|may|would|will|do|does|did|is|are|have|has) (?:you|i|we|your|there|it))\b"
)
_TERM: Final = re.compile(r"<[A-Z][A-Z_]+>|\w+(?:[.:,'’/@-]\w+)*")
_SAME: Final = 0.6
"""Two questions whose terms overlap by this share (Jaccard) are one question, asked again."""


class Exchange(Config):
    """A question and what was answered.

    Attributes:
        asked_by: who asked.
        question: the sentence that asks, as it was put last.
        answers: what the other side said next, one for each time that it was asked and answered; empty while it is
            open. Of an agent's reply only what is no question itself.
        turn: the place of the last answer (of the question while it is open), from 1.
        times: how often it was asked, in so many words or nearly (>= 1).
    """

    asked_by: Role
    question: str
    answers: tuple[str, ...]
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


def is_question(sentence: str) -> bool:
    """Say whether ``sentence`` asks: by a question mark in any language; without one, by the ways English asks in."""
    return sentence.endswith(("?", "？")) or bool(_ASKS.match(sentence))


def find_question(text: str) -> str | None:
    """Return the last sentence of ``text`` that asks something, None where none does."""
    return next((one for one in reversed(split_sentences(text)) if is_question(one)), None)


def find_exchanges(conversation: Conversation) -> tuple[Exchange, ...]:
    """Return every question with its answers, in the order of the last answers; one asked again stands once."""
    found: list[tuple[Exchange, set[str]]] = []
    for exchange in _pair(numbered_turns(conversation)):
        terms = set(find_terms(exchange.question))
        place = next((row for row, known in enumerate(found) if _is_same(known, (exchange, terms))), None)
        joined = exchange if place is None else _join(found.pop(place)[0], exchange)
        found.append((joined, terms))
    return tuple(exchange for exchange, _ in found)


def _pair(turns: list[tuple[int, Turn]]) -> Iterator[Exchange]:
    """Yield each question with what the other side said next, as it stands in the conversation."""
    waiting: dict[bool, tuple[int, Role, str]] = {}
    for place, turn in turns:
        is_customer = turn.role == CUSTOMER
        said = " ".join(one for one in split_sentences(turn.text) if is_customer or not is_question(one))
        if said and (asked := waiting.pop(not is_customer, None)):
            yield Exchange(asked_by=asked[1], question=asked[2], answers=(said,), turn=place)
        if question := find_question(turn.text):
            waiting[is_customer] = (place, turn.role, question)
    for place, role, question in sorted(waiting.values()):
        yield Exchange(asked_by=role, question=question, answers=(), turn=place)


def _join(earlier: Exchange, later: Exchange) -> Exchange:
    answers = tuple(dict.fromkeys((*earlier.answers, *later.answers)))
    return later.model_copy(update={"times": earlier.times + 1, "answers": answers})


def _is_same(known: tuple[Exchange, set[str]], new: tuple[Exchange, set[str]]) -> bool:
    if (known[0].asked_by == CUSTOMER) != (new[0].asked_by == CUSTOMER) or not (known[1] and new[1]):
        return False
    return len(known[1] & new[1]) / len(known[1] | new[1]) >= _SAME
