"""An extractive summary: the sentences that say the most new in the fewest words, in the order in which they were said.

Sentences are chosen one by one for the weight of the terms that they add, divided by their words, until the words are
used up: budgeted maximum coverage, greedy (Khuller, Moss and Naor, 1999; for summaries Lin and Bilmes, 2011). Nothing
is rephrased, so nothing can be made up.
"""

from typing import Final

from pydantic import Field

from labeling.config import Config
from serving.context.exchanges import find_question, find_terms, numbered_turns, split_sentences
from serving.context.facts import find_values
from serving.conversation import CUSTOMER, Conversation, Role

MAX_WORDS: Final = 60
_FACT: Final = 5.0
"""How much more a term weighs that is part of a fact, or of a short reply to a question."""
_OURS: Final = 0.25
"""What a term weighs that our side said first, against 1 for the customer's."""
_QUESTION_WORDS: Final = 14
_SHORT: Final = 4
"""A reply of fewer terms stands with the question that it answers: alone it says nothing."""
_COURTESIES: Final = frozenset(
    (
        *("hello", "hi", "hey", "thanks", "thank", "ok", "okay", "yes", "yeah", "yep", "no", "nope", "please"),
        *("sure", "great", "bye", "goodbye", "sorry", "well", "oh", "ah"),
    )
)
"""What people say to be polite, in English; it weighs nothing."""
_LONGEST: Final = 60
"""Words of a sentence that is read; what is longer is cut there."""


class Line(Config):
    """One sentence of the summary.

    Attributes:
        turn: where it was said, from 1.
        role: who said it.
        text: the sentence as it was said.
        question: what it answers, where it needs that to be understood.
    """

    turn: int = Field(ge=1)
    role: Role
    text: str
    question: str | None = None

    @property
    def words(self) -> int:
        """How many words of the budget it takes."""
        return len(self.text.split()) + len((self.question or "").split())


def summarise(conversation: Conversation, *, max_words: int = MAX_WORDS) -> tuple[Line, ...]:
    """Return the lines that cover the most in ``max_words`` (>= 1); the customer's request leads where it fits."""
    lines = _lines(conversation)
    weights = [_weigh(line) for line in lines]
    chosen: set[int] = set()
    covered: dict[str, float] = {}
    left = max_words
    request = next((row for row, one in enumerate(lines) if one.role == CUSTOMER and len(weights[row]) >= 3), None)
    while True:
        fitting = [row for row, line in enumerate(lines) if row not in chosen and line.words <= left]
        if request in fitting:
            best = request
        else:
            best = max(fitting, key=lambda row: (_gain(weights[row], covered) / lines[row].words, row), default=None)
        if best is None or not _gain(weights[best], covered):
            return tuple(lines[row] for row in sorted(chosen))
        chosen.add(best)
        left -= lines[best].words
        for term, weight in weights[best].items():
            covered[term] = max(weight, covered.get(term, 0.0))


def _lines(conversation: Conversation) -> list[Line]:
    """Return every sentence that may stand in the summary; our own questions stand only with their answers."""
    lines, asked = [], None
    for place, turn in numbered_turns(conversation):
        question = find_question(turn.text)
        is_customer = turn.role == CUSTOMER
        for sentence in split_sentences(turn.text):
            if not is_customer and sentence == question:
                continue
            is_reply = is_customer and len(find_terms(sentence)) < _SHORT
            answered = _cut(asked, _QUESTION_WORDS) if asked and is_reply else None
            lines.append(Line(turn=place, role=turn.role, text=_cut(sentence, _LONGEST), question=answered))
            asked = None if is_customer else asked
        asked = None if is_customer else question
    return lines


def _weigh(line: Line) -> dict[str, float]:
    """Return what each term of a line weighs."""
    facts = {term for _, value in find_values(line.text) for term in find_terms(value)}
    own = 1.0 if line.role == CUSTOMER else _OURS
    return {
        term: own * (_FACT if line.question or term in facts else 1.0)
        for term in find_terms(line.text)
        if term not in _COURTESIES
    }


def _gain(weights: dict[str, float], covered: dict[str, float]) -> float:
    return sum(max(0.0, weight - covered.get(term, 0.0)) for term, weight in weights.items())


def _cut(text: str, words: int) -> str:
    said = text.split()
    return text if len(said) <= words else " ".join(said[:words]) + " …"
