"""The scorecard: what a model's answers are worth on cases whose truth people settled."""

import json
import math
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import numpy as np
import polars as pl

from labeling.vocabulary import NONE_OF_THESE
from training.calibration import calibration_floor, expected_calibration_error
from training.judging.answers import DIMENSIONS
from training.judging.curves import measure_risk
from training.judging.intervals import wilson_interval
from training.judging.outcomes import Outcomes

RETENTION: Final = 0.95
"""Recall of out-of-scope messages is told at the novelty that keeps this share of the others."""

_NOT_PLOTTED: Final = ("labels", "slices", "outcomes")


@dataclass(frozen=True)
class LabelScore:
    """One label: ``support`` true cases, the share of them found, and the share of its answers that were right.

    Each share stands with its 95% Wilson interval. Recall is None of a label without a true case, precision of one
    that was never answered.
    """

    support: int
    recall: float | None
    recall_low: float | None
    recall_high: float | None
    precision: float | None
    precision_low: float | None
    precision_high: float | None


@dataclass(frozen=True)
class SliceScore:
    """The accuracy on ``cases`` cases of a slice, with its 95% Wilson interval."""

    cases: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class Scorecard:
    """A model on ``cases`` test cases of one task.

    Attributes:
        accuracy: with its 95% Wilson interval (Wilson, 1927), which keeps to [0, 1] and its coverage in small tests.
        macro_f1: the mean F1 over the labels that occur in the truth.
        nll: the mean of -log p(truth) in nats over the cases whose truth the model knows, None where it knows none.
        unknown: the number of the others: they count as wrong, but no finite loss says how wrong.
        brier: the mean squared distance of the probabilities from the truth, in [0, 2].
        ece: expected calibration error over 15 bins, in [0, 1].
        ece_floor: what a perfectly calibrated model of the same confidences would show by chance.
        aurc: area under the risk-coverage curve, in [0, 1]; 0 is best.
        oos_auroc: the chance that a message outside every label is more novel than one inside; 0.5 tells nothing. None
            where the test holds none of either kind, or the model has no novelty statistics.
        oos_recall: the share of the messages outside that lie beyond the novelty that keeps 95% of the others.
        seconds_per_text, megabytes: what an answer and the model's files cost; None where not measured.
        labels: by label, those that are true of a case or were answered.
        slices: by dimension (language, channel, segment) and value.
        outcomes: what escalations say; None where they say nothing.
    """

    cases: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    macro_f1: float
    nll: float | None
    unknown: int
    brier: float
    ece: float
    ece_floor: float
    aurc: float
    oos_auroc: float | None
    oos_recall: float | None
    seconds_per_text: float | None
    megabytes: float | None
    labels: dict[str, LabelScore]
    slices: dict[str, dict[str, SliceScore]]
    outcomes: Outcomes | None

    def to_json(self) -> str:
        """Return the card as JSON, sorted by key."""
        return json.dumps(asdict(self), indent=2, sort_keys=True, allow_nan=False)

    @classmethod
    def from_document(cls, said: dict[str, Any]) -> Self:
        """Return the card whose ``to_json`` was parsed into ``said``."""
        slices = {
            dimension: {value: SliceScore(**score) for value, score in values.items()}
            for dimension, values in said["slices"].items()
        }
        labels = {name: LabelScore(**score) for name, score in said["labels"].items()}
        outcomes = said["outcomes"] and Outcomes.from_document(said["outcomes"])
        return cls(**{**said, "labels": labels, "slices": slices, "outcomes": outcomes})

    def metrics(self) -> dict[str, float]:
        """Return the figures that a registry plots, without those of single labels, slices and outcomes."""
        figures = {name: value for name, value in asdict(self).items() if name not in _NOT_PLOTTED}
        return {name: float(value) for name, value in figures.items() if value is not None}


def score_model(
    answers: pl.DataFrame,
    who: str,
    *,
    rng: np.random.Generator,
    seconds_per_text: float | None = None,
    megabytes: float | None = None,
    outcomes: Outcomes | None = None,
) -> Scorecard:
    """Score the answers of ``who``.

    Args:
        answers: answers frame of one task: ``truth``, ``language``, ``channel``, ``segment``, and of ``who`` the
            answer, ``_confidence``, ``_truth_chance``, ``_brier`` and ``_novelty``. At least one row.
        who: challenger, champion or reference.
        rng: the only source of chance (of the simulated floor).
        seconds_per_text: what an answer takes.
        megabytes: the size of the model's files.
        outcomes: what escalations say of this model.

    Raises:
        ValueError: there are no cases, or ``who`` did not answer all of them.
    """
    if answers.is_empty() or answers[who].null_count():
        found = f"{answers.height - answers[who].null_count()} of {answers.height}"
        raise ValueError(f"a scorecard needs cases that the {who} answered, found {found}")
    truth, said = (np.asarray(answers[name].to_list(), dtype=object) for name in ("truth", who))
    correct, confidence = truth == said, answers[f"{who}_confidence"].to_numpy()
    chances = answers[f"{who}_truth_chance"].drop_nulls().to_numpy()
    low, high = wilson_interval(int(correct.sum()), len(correct))
    labels = {name: _score_label(name, truth, said) for name in sorted({*truth, *said})}
    auroc, recall = _out_of_scope(answers["truth"] == NONE_OF_THESE, answers[f"{who}_novelty"])
    return Scorecard(
        cases=len(correct),
        accuracy=float(correct.mean()),
        accuracy_low=low,
        accuracy_high=high,
        macro_f1=float(np.mean([_f1(score) for score in labels.values() if score.support])),
        nll=float(-np.log(np.maximum(chances, 1e-12)).mean()) if len(chances) else None,
        unknown=len(correct) - len(chances),
        brier=float(answers[f"{who}_brier"].to_numpy().mean()),
        ece=expected_calibration_error(confidence, correct),
        ece_floor=calibration_floor(confidence, rng=rng),
        aurc=float(measure_risk(confidence, correct)[1].mean()),
        oos_auroc=auroc,
        oos_recall=recall,
        seconds_per_text=seconds_per_text,
        megabytes=megabytes,
        labels=labels,
        slices={dimension: _score_slices(answers[dimension], correct) for dimension in DIMENSIONS},
        outcomes=outcomes,
    )


def _score_label(name: str, truth: np.ndarray, answers: np.ndarray) -> LabelScore:
    found = int(((truth == name) & (answers == name)).sum())
    support, answered = int((truth == name).sum()), int((answers == name).sum())
    return LabelScore(support, *_share(found, support), *_share(found, answered))


def _share(found: int, cases: int) -> tuple[float | None, float | None, float | None]:
    return (found / cases, *wilson_interval(found, cases)) if cases else (None, None, None)


def _f1(score: LabelScore) -> float:
    precision, recall = score.precision or 0.0, score.recall or 0.0
    return 2 * precision * recall / (precision + recall) if recall else 0.0


def _score_slices(values: pl.Series, correct: np.ndarray) -> dict[str, SliceScore]:
    """Return the score of each value, by name; cases without the value are in none."""
    told = pl.DataFrame({"value": values, "correct": correct}).drop_nulls("value")
    counted = told.group_by("value").agg(cases=pl.len(), found=pl.col("correct").sum()).sort("value")
    return {
        value: SliceScore(cases, found / cases, *wilson_interval(found, cases))
        for value, cases, found in counted.iter_rows()
    }


def _out_of_scope(is_outside: pl.Series, novelty: pl.Series) -> tuple[float | None, float | None]:
    """Return AUROC and recall; a text without novelty is less novel than any (the first reader knew it)."""
    from sklearn.metrics import roc_auc_score

    outside, known = is_outside.to_numpy(), novelty.fill_nan(None)
    if known.null_count() == len(known) or outside.all() or not outside.any():
        return None, None
    values = known.fill_null(known.min() - 1).to_numpy()  # pyright: ignore[reportOperatorIssue, reportOptionalOperand]
    inside = np.sort(values[~outside])
    line = inside[math.ceil(RETENTION * len(inside)) - 1]
    return float(roc_auc_score(outside, values)), float((values[outside] > line).mean())
