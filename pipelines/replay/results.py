"""What a replay came to, week by week: measured on the tables and on what the feed knows to be true."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """An accuracy on the sealed test with its 95% interval (Wilson, 1927); all in [0, 1]."""

    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class WeekResult:
    """One week of a replay; week 0 is the history that the first champion was trained on.

    Attributes:
        week: its number.
        champion: the release that was live when the week ended.
        accuracy: task to what that release answers right on the sealed test.
        messages: messages that arrived.
        corrections: corrections that agents made.
        handoffs: messages of the week at which the release stepped aside.
        labels: answers that people gave, in this week.
        verdict: what the gates said of the week's challenger.
    """

    week: int
    champion: str
    accuracy: Mapping[str, Measured]
    messages: int
    corrections: int
    handoffs: int
    labels: int
    verdict: str

    @property
    def corrections_per_100(self) -> float:
        """Corrections for every 100 messages; 0 where none came."""
        return 100 * self.corrections / self.messages if self.messages else 0.0


@dataclass(frozen=True)
class LivePrediction:
    """One message and what the champion answers to it."""

    text: str
    answers: Mapping[str, tuple[str, float]]
    handoff: bool
    reason: str


@dataclass(frozen=True)
class ReplayResult:
    """Everything that the last table and the report show; ``seconds`` maps phase to its time."""

    title: str
    weeks: Sequence[WeekResult]
    predictions: Sequence[LivePrediction]
    seconds: Mapping[str, float]
    sealed_cases: int
