"""One decision to keep an answer or to step aside, and the words for why."""

from dataclasses import dataclass
from typing import Final

from labeling.vocabulary import NONE_OF_THESE

EMPTY_TEXT: Final = "empty_text"
HIGH_RISK: Final = "high_risk"
RETIRED_LABEL: Final = "retired_label"
NO_GUARANTEE: Final = "no_guarantee"
CHANCE: Final = "chance"
LOW_CONFIDENCE: Final = "low_confidence"

_WHY: Final = {
    EMPTY_TEXT: "There is no text to answer.",
    HIGH_RISK: "The answer is one that always goes to a person.",
    NONE_OF_THESE: "The message is about none of the things that the model knows.",
    RETIRED_LABEL: "The answer is a label that is not used any more.",
    NO_GUARANTEE: "No threshold was shown to keep the promise, so that people answer everything.",
    CHANCE: "Close to the threshold, a person is sometimes brought in by chance, to learn from it.",
    LOW_CONFIDENCE: "The model is not sure of its answer.",
    "ambiguous": "Several answers are likely.",
    "out_of_scope": "The message is unlike those that the model learnt from.",
    "negative_sentiment": "The customer sounds unhappy.",
    "falling_sentiment": "The customer's mood has fallen during the conversation.",
    "sentiment_alarm": "The customer's mood is as low, or has fallen as far, as it seldom does.",
    "wish_for_person": "The customer asks for a person.",
    "repeated_question": "The customer has asked this before.",
}
"""What each signal means, for agents: never a word of the customer's."""


@dataclass(frozen=True)
class Reason:
    """One signal behind a handoff.

    Attributes:
        signal: what it is; ``task`` the task that it is about, "" where it is about none.
        value: how strong it is; of a signal of the risk its share of the log odds above the usual, of any other 1.
        why: the same in a short sentence.
    """

    signal: str
    value: float
    why: str
    task: str = ""

    @property
    def code(self) -> str:
        """The signal, with its task behind a colon where it has one."""
        return f"{self.signal}:{self.task}" if self.task else self.signal


@dataclass(frozen=True)
class Decision:
    """Whether to step aside.

    Attributes:
        handoff: whether a person should answer.
        reasons: why, the strongest first; empty where the answer is kept.
        risk: how likely the answer would be wrong if it were kept, in [0, 1].
        threshold: the largest risk that is kept, None where nothing is.
        propensity: how likely this very decision was, in (0, 1]; below 1 only where chance had a part.
    """

    handoff: bool
    reasons: tuple[Reason, ...]
    risk: float
    threshold: float | None
    propensity: float = 1.0

    @property
    def reason(self) -> str:
        """The code of the strongest reason, "" where the answer is kept."""
        return self.reasons[0].code if self.reasons else ""


def explain(signal: str, task: str = "", value: float = 1.0) -> Reason:
    """Return the reason for a signal; raises KeyError for an unknown one."""
    return Reason(signal, float(value), _WHY[signal], task)


def read_code(code: str) -> Reason:
    """Return the reason of a ``Reason.code``."""
    signal, _, task = code.partition(":")
    return explain(signal, task)
