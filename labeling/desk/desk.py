"""The port to a labelling desk, and what travels through it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from labeling.taxonomy import Taxonomy

SECOND: Final = "-second"
"""What follows a task's name in the name of the question for its second label; no task's name can hold a dash."""

NOTE: Final = "short-note"
"""The name of the question for a note in free words."""


@dataclass(frozen=True)
class Turn:
    """One line of the conversation as the page shows it; ``author`` is customer, ai or agent."""

    author: str
    text: str


@dataclass(frozen=True)
class Suggestion:
    """What the champion said for one task; ``confidence`` in [0, 1]."""

    label: str
    confidence: float


@dataclass(frozen=True)
class Case:
    """One interaction for a person to read.

    ``case_id`` is the key that keeps a case from standing at the desk twice. ``suggestions`` maps task to
    suggestion and is empty for a blind case. ``overlap`` is how many people should answer (>= 1). ``history`` holds
    short lines about the customer's earlier conversations, the newest first; ``handed_off`` says whether a person took
    this one over, None where that is unknown. ``answers`` maps task to the labels between which a judging case asks,
    in an order that says nothing of who gave them; such a case is blind.
    """

    case_id: str
    interaction_id: str
    conversation: tuple[Turn, ...]
    suggestions: Mapping[str, Suggestion]
    context: Mapping[str, str]
    reason: str
    blind: bool
    overlap: int
    history: tuple[str, ...] = ()
    handed_off: bool | None = None
    answers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class SentCase:
    """Where a case stands at the desk."""

    case_id: str
    project_id: str
    desk_task_id: str


@dataclass(frozen=True)
class Answer:
    """One annotator's answer to one case.

    ``labels`` maps task to label, only labels that the taxonomy knows, and ``handoff`` to what was said of the
    handoff; ``refused`` maps task to why an answer to it was not taken (a label that the taxonomy lacks).
    ``is_skipped``: the person passed; ``labels`` is then empty. ``suggestions`` is what the page proposed, empty for a
    blind case. ``second_labels`` maps task to a second label of the same message; ``note`` is what the person wrote,
    not yet redacted, "" where nothing.
    """

    answer_id: str
    case_id: str
    interaction_id: str
    annotator_id: str
    labels: Mapping[str, str]
    refused: Mapping[str, str]
    suggestions: Mapping[str, str]
    is_blind: bool
    is_skipped: bool
    answered_at: datetime
    lead_seconds: float | None
    second_labels: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


class ReviewDesk(Protocol):
    """Where cases go and answers come from. Every call may be repeated: the effect happens once.

    ``open_project`` comes first in every process, and again after ``DeskRefused`` told that the project is gone.
    All methods raise ``DeskUnavailable`` where the desk does not answer (run the step again) and ``DeskRefused``
    where it never will.
    """

    def open_project(self, taxonomy: Taxonomy) -> str:
        """Make the taxonomy's project, or bring its page up to date; return its id."""
        ...

    def send(self, cases: Sequence[Case]) -> list[SentCase]:
        """Put ``cases`` on the desk; found, not doubled, where their ``case_id`` is there; in the order given.

        A case that is there asks for as many answers as before, or for more where ``overlap`` says so.
        """
        ...

    def fetch(self, since: datetime | None) -> list[Answer]:
        """Return the answers given or changed at or after ``since`` (all where None), oldest first, no drafts.

        Times are the desk's own. Reach back a few minutes behind the newest answer known, because answers can be
        saved out of order, and take an ``answer_id`` seen before as that answer amended.
        """
        ...

    def list_answers(self, since: datetime) -> dict[str, frozenset[str]]:
        """Return case id → ids of all its answers, of the cases where something was answered, changed or deleted.

        Of those cases every answer is told, however old, so that an id that is missing was deleted at the desk.

        Args:
            since: the desk's time from which on something happened; more cases may be told than that.
        """
        ...

    def ask_again(self, overlaps: Mapping[str, int]) -> None:
        """Set how many answers each case should get in all; 0 ends it. Cases that are not there are passed over.

        Args:
            overlaps: case id → answers (>= 0), skips not counted.
        """
        ...

    def count_waiting(self) -> int:
        """Return how many cases stand at the desk with fewer answers than asked for."""
        ...

    def count_cases(self) -> int:
        """Return how many tasks stand at the desk, answered or not: more than were sent where one came twice."""
        ...

    def list_cases(self) -> dict[str, str]:
        """Return case id → desk task id of all cases at the desk, read task by task.

        Of a case that came twice, unanswered copies are removed.
        """
        ...

    def withdraw(self, case_ids: Sequence[str]) -> set[str]:
        """Take off the desk those of the cases that nobody answered or skipped; return those that stand there still."""
        ...

    def remove(self, case_ids: Sequence[str]) -> int:
        """Take cases off the desk for good, with every answer and all that was shown; return how many there were.

        Cases that are not there are passed over. A case that was removed can be sent again, which makes it a new one.
        """
        ...
