"""When to step aside: a threshold on calibrated confidence, fitted so that what is kept is seldom wrong."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
from pydantic import Field

from labeling.config import Config
from labeling.errors import TrainingError
from labeling.taxonomy import Taxonomy
from labeling.vocabulary import NONE_OF_THESE

Share = Annotated[float, Field(gt=0, lt=1)]

EMPTY_TEXT: Final = "empty_text"
HIGH_RISK: Final = "high_risk"
LOW_CONFIDENCE: Final = "low_confidence"

_THRESHOLDS: Final = tuple(step / 100 for step in range(99, -1, -1))
"""The thresholds that are tried, strictest first. Fixed before any case is seen: the guarantee rests on that."""


class HandoffConfig(Config):
    """What may be kept from people.

    Attributes:
        promised_error_share: the largest share of wrong answers among those that a release keeps, in (0, 1), for
            each task of ``tasks``.
        confidence: how sure that promise must be, in (0, 1): of 100 fitted policies at least this share keep it.
        min_cases: how many calibrate cases a threshold must keep to be trusted (>= 1).
        tasks: the tasks whose doubt hands off; empty means the taxonomy's first.
        high_risk_labels: labels, of any task, that always go to a person.
    """

    schema_version: int = Field(ge=1, le=1)
    promised_error_share: Share
    confidence: Share
    min_cases: int = Field(ge=1)
    tasks: tuple[str, ...] = ()
    high_risk_labels: tuple[str, ...] = ()

    def find_faults(self, taxonomy: Taxonomy) -> list[str]:
        """Return what this names that ``taxonomy`` lacks, one line each; empty where all is known."""
        labels = {label for task in taxonomy.tasks for label in task.trainable}
        return [
            *(
                f"tasks: {task!r} is not a task of taxonomy.yaml"
                for task in self.tasks
                if task not in taxonomy.task_names
            ),
            *(
                f"high_risk_labels: {label!r} is not a label of taxonomy.yaml"
                for label in self.high_risk_labels
                if label not in labels
            ),
        ]


class Threshold(Config):
    """The threshold of one task and what it was fitted on.

    Attributes:
        threshold: answers of at least this confidence are kept, in [0, 1]; None keeps none, because no threshold
            could be shown to keep the promise.
        cases: how many calibrate cases there were.
        kept: how many of them the threshold keeps.
        wrong: how many of those kept were wrong.
        error_bound: upper bound on the share of wrong answers among those kept; None where none are.
    """

    threshold: float | None = Field(ge=0, le=1)
    cases: int = Field(ge=0)
    kept: int = Field(ge=0)
    wrong: int = Field(ge=0)
    error_bound: float | None = Field(ge=0, le=1)


class HandoffPolicy(Config):
    """A fitted policy: part of the release that it was fitted for, because confidences differ between models."""

    schema_version: int = Field(default=1, ge=1, le=1)
    config: HandoffConfig
    thresholds: dict[str, Threshold] = Field(min_length=1)

    def decide(self, texts: Sequence[str], answers: Mapping[str, "TaskAnswers"]) -> list["HandoffDecision"]:
        """Decide for each text whether a person should answer.

        Args:
            texts: the messages, n of them.
            answers: by task, what the release says of them; tasks that the policy does not know never hand off.

        Returns:
            n decisions, in order. The reason is the first that holds: no text, a label of high risk, "none of
            these", a confidence below the threshold; tasks in the policy's order.
        """
        return [HandoffDecision(self._reason(row, text, answers)) for row, text in enumerate(texts)]

    def _reason(self, row: int, text: str, answers: Mapping[str, "TaskAnswers"]) -> str:
        if not text.strip():
            return EMPTY_TEXT
        for task, said in answers.items():
            if said.labels[row] in self.config.high_risk_labels:
                return f"{HIGH_RISK}:{task}"
        for task in self.thresholds:
            if task in answers and answers[task].labels[row] == NONE_OF_THESE:
                return f"{NONE_OF_THESE}:{task}"
        for task, fitted in self.thresholds.items():
            sure = fitted.threshold is not None
            if task in answers and not (sure and answers[task].confidences[row] >= fitted.threshold):
                return f"{LOW_CONFIDENCE}:{task}"
        return ""


@dataclass(frozen=True)
class TaskAnswers:
    """What one model says of n texts: ``labels`` (n), ``confidences`` (n,) in [0, 1]."""

    labels: Sequence[str]
    confidences: np.ndarray


@dataclass(frozen=True)
class HandoffDecision:
    """Whether to step aside; ``reason`` is a code, with the task behind a colon, and empty where the answer is kept."""

    reason: str

    @property
    def handoff(self) -> bool:
        """Whether a person should answer."""
        return bool(self.reason)


@dataclass(frozen=True)
class CalibrateAnswers:
    """What a model said of n calibrate cases: ``confidences`` (n,) in [0, 1], ``correct`` (n,) of bool."""

    confidences: np.ndarray
    correct: np.ndarray


def fit_handoff(calibrate: Mapping[str, CalibrateAnswers], config: HandoffConfig) -> HandoffPolicy:
    """Fit one threshold for each task that ``config`` names.

    Args:
        calibrate: by task, in the taxonomy's order, the release's answers to calibrate cases with people's labels.
            Those cases must be drawn at random and have trained nothing; a person's "none of these" is a label like
            any other, "cannot tell" is left out.
        config: the promise.

    Raises:
        TrainingError: a task that ``config`` names has no answers here; names it. No task has any.
    """
    tasks = config.tasks or tuple(calibrate)[:1]
    missing = [task for task in tasks if task not in calibrate]
    if missing or not tasks:
        raise TrainingError(
            f"handoff needs calibrate answers for {', '.join(missing) or 'a task'}, "
            f"found {', '.join(calibrate) or 'none'}: change tasks in configs/handoff.yaml, or train a model for it"
        )
    return HandoffPolicy(config=config, thresholds={task: fit_threshold(calibrate[task], config) for task in tasks})


def fit_threshold(answers: CalibrateAnswers, config: HandoffConfig) -> Threshold:
    """Find the laxest threshold that still keeps the promise.

    Fixed-sequence testing (Angelopoulos et al., Learn then Test, 2021): thresholds are tried strictest first, each
    with the Clopper-Pearson upper bound on the share of wrong answers among those kept, and the search ends at the
    first that fails, so that trying many costs no confidence. It begins where ``min_cases`` are kept, or as many as it
    takes to show the promise without one wrong answer; that depends on confidences alone, never on who was right.

    Returns:
        The fitted threshold; ``threshold`` None where even the strictest fails, or where there are too few cases.
    """
    unblemished = math.ceil(math.log(1 - config.confidence) / math.log(1 - config.promised_error_share))
    best = Threshold(threshold=None, cases=len(answers.confidences), kept=0, wrong=0, error_bound=None)
    for threshold in _THRESHOLDS:
        keeps = answers.confidences >= threshold
        kept, wrong = int(keeps.sum()), int((keeps & ~answers.correct.astype(bool)).sum())
        if kept < max(config.min_cases, unblemished):
            continue
        bound = bound_error(wrong, kept, config.confidence)
        if bound > config.promised_error_share:
            break
        best = Threshold(threshold=threshold, cases=best.cases, kept=kept, wrong=wrong, error_bound=bound)
    return best


def bound_error(wrong: int, cases: int, confidence: float) -> float:
    """Return the one-sided Clopper-Pearson upper bound on a share of which ``wrong`` of ``cases`` were seen."""
    from scipy.stats import beta

    return 1.0 if wrong >= cases else float(beta.ppf(confidence, wrong + 1, cases - wrong))
