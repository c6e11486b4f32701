"""``handoff.yaml``: what a wrong answer and a handoff cost, and what is promised."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field, field_validator

from labeling.config import Config
from labeling.taxonomy import Taxonomy

Share = Annotated[float, Field(gt=0, lt=1)]
Cost = Annotated[float, Field(gt=0)]

WISH: Final = "wish_for_person"
ALARM: Final = "sentiment_alarm"

_VERSION: Final = 2


class LabelCosts(Config):
    """What is different for one label: ``wrong_kept``, ``handoff`` (> 0); None where it costs the usual."""

    wrong_kept: Cost | None = None
    handoff: Cost | None = None


class Costs(Config):
    """What decisions cost, in any one unit.

    Attributes:
        wrong_kept: a wrong answer that the release gave itself (> 0).
        handoff: bringing in a person (> 0).
        by_label: other costs where the release's answer is this label.
    """

    wrong_kept: Cost
    handoff: Cost
    by_label: dict[str, LabelCosts] = Field(default_factory=dict)

    def of(self, label: str) -> tuple[float, float]:
        """Return what a wrong answer ``label`` costs that is kept, and what a handoff instead."""
        told = self.by_label.get(label, LabelCosts())
        return told.wrong_kept or self.wrong_kept, told.handoff or self.handoff


class Band(Config):
    """Chance around the threshold, so that both decisions go on being seen there.

    Attributes:
        width: risks within this share of the threshold, either way, are in the band, in [0, 1); 0 means no chance.
        flip: how often the other decision is made there, in (0, 0.5].
    """

    width: float = Field(ge=0, lt=1)
    flip: float = Field(gt=0, le=0.5)


class SentimentSettings(Config):
    """How the customer's mood is followed over a conversation.

    Attributes:
        task: the taxonomy's task that reads it; mood is not followed where there is none of that name.
        ratings: what each of its labels counts, in [-1, 1].
        turns: the last so many customer turns are read (>= 1).
        false_alarm_rate: how many conversations that need no person may raise the alarm, in (0, 1).
    """

    task: str
    ratings: dict[str, Annotated[float, Field(ge=-1, le=1)]]
    turns: int = Field(ge=1)
    false_alarm_rate: Share


class HandoffConfig(Config):
    """What may be kept from people.

    Attributes:
        promised_error_share: the largest share of wrong answers among those that a release keeps, in (0, 1).
        confidence: how sure that promise must be, in (0, 1): of 100 fitted policies at least this share keep it.
        min_cases: how many calibrate cases a threshold must keep to be tested, at least (>= 1).
        tasks: the tasks that must be right; empty means the taxonomy's first.
        count_needed: whether a kept answer counts as wrong, too, where reviewers said that a person was needed.
        high_risk_labels: labels, of any task, that always go to a person.
        always: signals that always hand off.
        costs: choose among the thresholds that keep the promise; None takes the one that keeps most.
        group_by: groups of this kind get thresholds of their own; "" makes none.
        min_group_cases: a group with fewer calibrate cases takes the threshold of all (>= 1).
        band: chance around the threshold.
        shape_share: the share of calibrate cases that the risk is shaped on; the threshold is tested on the others.
        ambiguity_coverage: how often the set of answers that counts as ambiguity holds the true one, in (0, 1).
        out_of_scope_rate: how many messages with a known label may be told out of scope, in (0, 1).
        sentiment: how mood is followed; None where no task reads it.
    """

    schema_version: Literal[2]
    promised_error_share: Share
    confidence: Share
    min_cases: int = Field(ge=1)
    tasks: tuple[str, ...] = ()
    count_needed: bool = False
    high_risk_labels: tuple[str, ...] = ()
    always: tuple[Literal["wish_for_person", "sentiment_alarm"], ...] = (WISH, ALARM)
    costs: Costs | None = None
    group_by: Literal["", "channel", "segment", "language", "label"] = ""
    min_group_cases: int = Field(default=300, ge=1)
    band: Band = Band(width=0.0, flip=0.1)
    shape_share: Share = 0.2
    ambiguity_coverage: Share = 0.98
    out_of_scope_rate: Share = 0.05
    sentiment: SentimentSettings | None = None

    @field_validator("schema_version", mode="before")
    @classmethod
    def _check_version(cls, found: Any) -> Any:
        if found != _VERSION:
            raise ValueError(
                f"version {_VERSION} is needed, found {found!r}: your lines stay as they are; set schema_version: "
                f"{_VERSION}, and take costs, band and sentiment over from the packaged handoff.yaml (docs/handoff.md)"
            )
        return found

    def find_faults(self, taxonomy: Taxonomy) -> list[str]:
        """Return what this names that ``taxonomy`` lacks, one line each; empty where all is known."""
        labels = {label for task in taxonomy.tasks for label in task.trainable}
        named = {"high_risk_labels": self.high_risk_labels, "costs.by_label": self.costs.by_label if self.costs else ()}
        faults = [
            f"tasks: {task!r} is not a task of taxonomy.yaml" for task in self.tasks if task not in taxonomy.task_names
        ]
        faults += [
            f"{where}: {label!r} is not a label of taxonomy.yaml"
            for where, found in named.items()
            for label in found
            if label not in labels
        ]
        return faults + self._find_mood_faults(taxonomy)

    def _find_mood_faults(self, taxonomy: Taxonomy) -> list[str]:
        if self.sentiment is None:
            return []
        task = next((task for task in taxonomy.tasks if task.name == self.sentiment.task), None)
        if task is None:  # mood is then not followed: nothing reads it
            return []
        return [
            f"sentiment.ratings: {label!r} of the task {task.name!r} needs a rating"
            for label in task.label_names
            if label not in self.sentiment.ratings
        ]
