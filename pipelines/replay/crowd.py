"""The annotators of a replay at their desk: Label Studio's own API, or the fake desk."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from labeling.desk.annotating import Annotator, GivenAnswer, answer_cases, join
from labeling.desk.fake import FakeReviewDesk


@dataclass(frozen=True)
class CaseAnswer:
    """One simulated answer; ``labels`` None is a skip."""

    case_id: str
    desk_task_id: str
    annotator: str
    labels: Mapping[str, str] | None
    lead_seconds: float | None


class Crowd(Protocol):
    """Where simulated annotators sit."""

    def give(self, answers: Sequence[CaseAnswer], tell: Callable[[str], None]) -> int:
        """Give ``answers``; an annotator never answers a case twice. Return how many were new."""
        ...


class LabelStudioCrowd:
    """Annotators who are members of a Label Studio, each with an account, and answer through its API."""

    def __init__(self, url: str, admin_token: str) -> None:
        self._url, self._token = url, admin_token
        self._joined: dict[str, Annotator] = {}

    def give(self, answers: Sequence[CaseAnswer], tell: Callable[[str], None]) -> int:
        """See ``Crowd.give``."""
        for name in {answer.annotator for answer in answers} - self._joined.keys():
            self._joined[name] = join(self._url, self._token, name)
        given = [
            GivenAnswer(self._joined[answer.annotator], answer.desk_task_id, answer.labels, answer.lead_seconds)
            for answer in answers
        ]
        return answer_cases(self._url, given, on_progress=lambda done: tell(f"{done} of {len(given)} answers given"))


class FakeCrowd:
    """Annotators at the fake desk; ``now`` says when they answer."""

    def __init__(self, desk: FakeReviewDesk, now: Callable[[], datetime]) -> None:
        self._desk, self._now = desk, now

    def give(self, answers: Sequence[CaseAnswer], tell: Callable[[str], None]) -> int:
        """See ``Crowd.give``."""
        at = self._now()
        return sum(
            self._desk.answer(answer.case_id, answer.annotator, answer.labels, at, lead_seconds=answer.lead_seconds)
            for answer in answers
        )
