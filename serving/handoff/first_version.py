"""The policy of releases that were built before risks: one threshold on the confidence of each task. Read, not made."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from pydantic import Field

from labeling.config import Config
from labeling.vocabulary import NONE_OF_THESE
from serving.handoff.cases import Cases
from serving.handoff.config import Share
from serving.handoff.decisions import EMPTY_TEXT, HIGH_RISK, LOW_CONFIDENCE, Decision, Reason, explain, read_code


class ConfidenceConfig(Config):
    """The settings that such a policy was fitted with, as its release holds them."""

    schema_version: Literal[1]
    promised_error_share: Share
    confidence: Share
    min_cases: int = Field(ge=1)
    tasks: tuple[str, ...] = ()
    high_risk_labels: tuple[str, ...] = ()


class ConfidenceThreshold(Config):
    """The threshold of one task: answers of at least this confidence are kept; None keeps none.

    ``kept`` of ``cases`` calibrate cases passed it, ``wrong`` of these were wrong; ``error_bound`` is the upper bound
    on the share of wrong answers among those kept, None where none are.
    """

    threshold: float | None = Field(ge=0, le=1)
    cases: int = Field(ge=0)
    kept: int = Field(ge=0)
    wrong: int = Field(ge=0)
    error_bound: float | None = Field(ge=0, le=1)


class ConfidencePolicy(Config):
    """A fitted policy of the first version."""

    schema_version: Literal[1] = 1
    config: ConfidenceConfig
    thresholds: dict[str, ConfidenceThreshold] = Field(min_length=1)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks whose doubt hands off."""
        return tuple(self.thresholds)

    @property
    def sentiment(self) -> None:
        """Mood was not followed."""

    def decide(self, cases: Cases, rng: np.random.Generator | None = None) -> list[Decision]:
        """Decide as the release always did; ``rng`` changes nothing. ``risk`` is 1 less the least confidence."""
        del rng
        return [self._decide(row, cases) for row in range(len(cases.texts))]

    def out_of_scope(self, cases: Cases) -> np.ndarray:
        """Return which messages the release answers with "none of these", (n,) bool."""
        return np.array([_reject(row, cases, self.tasks) != "" for row in range(len(cases.texts))], dtype=bool)

    def alarms(self, cases: Cases) -> np.ndarray:
        """Return that no alarm is raised, (n,) bool."""
        return np.zeros(len(cases), dtype=bool)

    def keeps(self, cases: Cases) -> np.ndarray:
        """Return which cases are kept, (n,) bool."""
        return np.array([not decision.handoff for decision in self.decide(cases)], dtype=bool)

    def tell(self) -> str:
        """Return when the release steps aside, in a sentence."""
        told = [
            f"{task}: a confidence below {fitted.threshold:.2f}" if fitted.threshold is not None else f"{task}: always"
            for task, fitted in self.thresholds.items()
        ]
        return f"It steps aside at {'; '.join(told)}."

    def figures(self) -> Mapping[str, str]:
        """Return what was fitted, by name."""
        return {f"{task}.{name}": str(value) for task, found in self.thresholds.items() for name, value in found}

    def _decide(self, row: int, cases: Cases) -> Decision:
        known = [task for task in self.thresholds if task in cases.answers]
        sure = {task: float(cases.answers[task].confidences[row]) for task in known}
        least = min(known, key=lambda task: sure[task], default=None)
        risk = 1 - sure[least] if least else 0.0
        reason = self._reason(row, cases, sure)
        threshold = self.thresholds[least].threshold if least else None
        limit = None if threshold is None else 1 - threshold
        return Decision(handoff=reason is not None, reasons=(reason,) if reason else (), risk=risk, threshold=limit)

    def _reason(self, row: int, cases: Cases, sure: Mapping[str, float]) -> Reason | None:
        if not cases.texts[row].strip():
            return explain(EMPTY_TEXT)
        for task, said in cases.answers.items():
            if said.labels[row] in self.config.high_risk_labels:
                return explain(HIGH_RISK, task)
        if task := _reject(row, cases, self.tasks):
            return explain(NONE_OF_THESE, task)
        for task, confidence in sure.items():
            least = self.thresholds[task].threshold
            if least is None or confidence < least:
                return explain(LOW_CONFIDENCE, task, confidence)
        return read_code(cases.changed[row]) if cases.changed[row] else None


def _reject(row: int, cases: Cases, tasks: tuple[str, ...]) -> str:
    """Return the first of ``tasks`` that is answered with "none of these", "" where none is."""
    return next(
        (task for task in tasks if task in cases.answers and cases.answers[task].labels[row] == NONE_OF_THESE), ""
    )
