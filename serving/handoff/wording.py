"""What the customer's own words say: a wish for a person, and a question that was asked before. Rules, not a model."""

import re
from collections import Counter
from collections.abc import Sequence
from math import sqrt
from typing import Final

_PERSON: Final = (
    r"(?:(?:real|live|actual|human|proper|service|support|customer|sales|call|cent(?:er|re)|echter?n?|richtige[nr]?|"
    r"menschliche[nr]?|réel(?:le)?|vrai|vraie|humano|humana|real|de verdad)\s+){0,3}"
    r"(?:person|people|human(?: being)?|agent|representative|rep|advis[eo]r|operator|manager|supervisor|assistant|"
    r"employee|colleague|someone|somebody|menschen?|mitarbeiter(?:in)?|berater(?:in)?|jemande[nm]|personne|humain|"
    r"conseill[eè]re?|quelqu.un|persona|humano|agente|operador(?:a)?|alguien)"
)
_ARTICLE: Final = r"(?:(?:to|with|an?|the|your|any|some|mit|einem|einer|einen|à|avec|une?|con|una?|al?)\s+){0,3}"
_ASK: Final = (
    r"(?:talk|speak|chat|connect(?: me)?|transfer(?: me)?|put me through|pass me(?: on)?|hand me over|"
    r"escalate(?: this)?|sprechen|reden|verbinden(?: sie mich)?|verbinde mich|parler|passez-moi|"
    r"hablar|p[aá]s[ae]me|comunicar(?:me)?)"
)
_WANT: Final = r"(?:want|need|get me|give me|prefer|require|möchte|will|brauche|veux|voudrais|quiero|necesito)"
_MACHINE: Final = r"(?:bot|chatbot|robot|ai|roboter)"

_REAL: Final = r"(?:real|live|actual|human|echten?|vraie?)"

_WISHES: Final = re.compile(
    rf"\b{_ASK}\s+{_ARTICLE}{_PERSON}\b"
    rf"|\b{_WANT}\s+{_ARTICLE}(?:{_REAL}\s+{_PERSON}|(?:human|person(?! to| who)|agent)(?! near))\b"
    rf"|\b(?:mit|with|avec|con)\s+{_ARTICLE}{_PERSON}\s+(?:sprechen|reden|verbinden)\b"
    rf"|\b(?:not|don.?t|stop|no more)\s+(?:\w+\s+){{0,3}}(?:talk|speak|chat)\w*\s+(?:\w+\s+){{0,2}}{_MACHINE}\b"
    r"|^\W*(?:real |live )?(?:agent|human|representative|operator|person|mitarbeiter)(?:\s+(?:please|now|bitte))*\W*$",
    re.IGNORECASE,
)
_DECLINED: Final = re.compile(
    rf"(?:no need|don.?t (?:want|need)|not necessary) (?:to )?(?:{_ASK}\s+)?{_ARTICLE}{_PERSON}", re.I
)
_LONGEST: Final = 4000
"""Characters that are looked at, from the end: a text of a megabyte must not hold up others."""

_WORD: Final = re.compile(r"\w+")
_FEWEST_WORDS: Final = 3
_SHORT: Final = 3


def wishes_for_person(text: str) -> bool:
    """Return whether ``text`` asks, in so many words, for a person (English; common forms of de, fr, es)."""
    seen = text[-_LONGEST:]
    return bool(_WISHES.search(seen)) and not _DECLINED.search(seen)


def measure_repetition(texts: Sequence[str]) -> float:
    """Return how much the last of ``texts`` says what one before it said, in [0, 1]; 0 where it is the first.

    The largest cosine between the words of the last and of an earlier one; words of three letters or fewer are left
    out, and a last text of fewer than three others ("yes please") repeats nothing.
    """
    if len(texts) < 2:
        return 0.0
    last, *before = (_count_words(text) for text in (texts[-1], *texts[:-1]))
    if last.total() < _FEWEST_WORDS:
        return 0.0
    return max(_cosine(last, other) for other in before)


def _count_words(text: str) -> Counter[str]:
    words = _WORD.findall(text[-_LONGEST:].casefold())
    return Counter(word for word in words if len(word) > _SHORT)


def _cosine(one: Counter[str], other: Counter[str]) -> float:
    along = sum(count * other[word] for word, count in one.items())
    lengths = sqrt(sum(c * c for c in one.values())) * sqrt(sum(c * c for c in other.values()))
    return along / lengths if lengths else 0.0
