"""Facts that the customer gave: numbers, times, amounts, names, and the places where something was redacted."""

import re
from typing import Final, Literal

from pydantic import Field

from labeling.config import Config
from serving.context.exchanges import find_question, find_terms, numbered_turns, split_sentences
from serving.conversation import CUSTOMER, Conversation

Kind = Literal["redacted", "amount", "time", "date", "number", "name"]

_MONTHS: Final = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:t(?:ember)?)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_DAYS: Final = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day|today|tomorrow|yesterday"
_CAPITALISED: Final = r"(?!I['’])[A-Z]\w*[a-z]\w*"
_PATTERN: Final = re.compile(
    r"(?P<redacted><[A-Z][A-Z_]+>)"
    r"|(?P<amount>[$€£¥]\s?\d{1,9}(?:[.,]\d{1,9}){0,4}"
    r"|\b\d{1,9}(?:[.,]\d{1,9}){0,4}\s?(?:[$€£¥]|(?i:dollars?|euros?|pounds?|usd|eur|gbp)\b))"
    r"|(?P<time>(?i:\b\d{1,2}(?::\d{2})?\s?[ap]\.?m\b|\b\d{1,2}:\d{2}\b|\bnoon\b|\bmidnight\b))"
    rf"|(?P<date>(?i:\b{_MONTHS}\.?\s\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s\d{{4}})?\b"
    rf"|\b\d{{1,2}}(?:st|nd|rd|th)?\s(?:of\s)?{_MONTHS}\b(?:,?\s\d{{4}})?"
    rf"|\b\d{{1,4}}[./-]\d{{1,2}}[./-]\d{{1,4}}\b|\b(?:{_DAYS})\b|\b\d{{1,2}}(?:st|nd|rd|th)\b))"
    r"|(?P<number>#?\b(?=[\w-]{0,40}\d)\w{1,40}(?:-\w{1,40}){0,6}\b)"
    rf"|(?P<name>(?<![.!?。！？]\s)(?<!^)\b{_CAPITALISED}(?:\s(?:of\s|the\s)?{_CAPITALISED}){{0,5}})",
)
_INTRODUCED: Final = re.compile(
    r"(?i:\b(?:my name is|name's|i am|i'm|this is|call me)\s)(?P<name>[A-Z]\w+(?:\s[A-Z]\w+)*)"
)
_WHOLE: Final = re.compile(rf"{_CAPITALISED}(?:\s{_CAPITALISED}){{1,3}}[.!]?")
"""Nothing but a name, as people answer when they are asked for theirs."""
_REPLY: Final = 5
"""A sentence of more terms says what it is about by itself."""
_MOST: Final = 40
"""Facts that a package holds at most, the newest ones."""


class Fact(Config):
    """One thing that the customer told.

    Attributes:
        kind: what it is; ``redacted`` where a placeholder such as ``<EMAIL>`` stands for it.
        value: as it was said, or the placeholder.
        turn: where, from 1.
        about: the question that it answers in a few words, None where it answers none.
    """

    kind: Kind
    value: str
    turn: int = Field(ge=1)
    about: str | None = None


def find_values(text: str) -> list[tuple[Kind, str]]:
    """Return what in ``text`` is a fact, in order, each with its kind; a word at the head of a sentence is no name.

    A name is told by its capital letter, which some customers leave out: see docs/context.md for how much is found.
    """
    if _WHOLE.fullmatch(text.strip()):
        return [("name", text.strip(" .!"))]
    names = {found["name"] for found in _INTRODUCED.finditer(text)}
    found = [
        (kind, value.strip()) for match in _PATTERN.finditer(text) for kind, value in match.groupdict().items() if value
    ]
    known = {value for _, value in found}
    return found + [("name", name) for name in sorted(names - known)]  # pyright: ignore[reportReturnType]


def find_facts(conversation: Conversation) -> tuple[Fact, ...]:
    """Return the facts in the customer's turns, each once, where it was said first; of very many the last forty."""
    facts: dict[tuple[Kind, str], Fact] = {}
    asked = None
    for place, turn in numbered_turns(conversation):
        if turn.role != CUSTOMER:
            asked = find_question(turn.text)
            continue
        for sentence in split_sentences(turn.text):
            about = asked if len(find_terms(sentence)) <= _REPLY else None
            for kind, value in find_values(sentence):
                facts.setdefault((kind, value.lower()), Fact(kind=kind, value=value, turn=place, about=about))
            asked = None
    return tuple(facts.values())[-_MOST:]
