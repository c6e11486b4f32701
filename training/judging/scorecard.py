"""The scorecard: what a model's answers are worth on cases whose truth people settled."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from training.calibration import expected_calibration_error
from training.scoring import Scores

_CONFIDENCE = 0.95


@dataclass(frozen=True)
class LabelScore:
    """One label: ``support`` true cases, the share of them found, and the share of its answers that were right.

    ``precision`` is None where the label was never answered.
    """

    support: int
    recall: float
    precision: float | None


@dataclass(frozen=True)
class Scorecard:
    """A model on ``cases`` test cases of one task.

    ``accuracy`` stands with its 95% Wilson interval (Wilson, 1927), which keeps to [0, 1] and its coverage in small
    tests. ``macro_f1`` is the mean F1 over the labels that occur in the truth. ``loss`` is the mean of -log p(truth) in
    nats over the cases whose truth the model knows (None where it knows none), ``unknown`` the number of the others:
    they count as wrong, but no finite loss says how wrong. ``calibration_error`` is the ECE over 15 bins, in [0, 1].
    """

    cases: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    macro_f1: float
    loss: float | None
    unknown: int
    calibration_error: float
    labels: dict[str, LabelScore]

    def to_json(self) -> str:
        """Return the card as JSON, sorted by key."""
        return json.dumps(asdict(self), indent=2, sort_keys=True)

    def metrics(self) -> dict[str, float]:
        """Return the figures that a registry plots, without those of single labels."""
        figures = {name: value for name, value in asdict(self).items() if name != "labels" and value is not None}
        return {name: float(value) for name, value in figures.items()}


def score_answers(truth: Sequence[str], scores: Scores) -> Scorecard:
    """Hold a model's scores against the truth.

    Args:
        truth: the settled label of each case, in the order of ``scores``; labels that the model lacks may be among
            them. At least one.
        scores: what the model said.

    Raises:
        ValueError: there are no cases, or not one truth a score.
    """
    from statsmodels.stats.proportion import proportion_confint

    if not len(truth) or len(truth) != len(scores.probabilities):
        raise ValueError(f"a scorecard needs one truth a score, found {len(truth)} and {len(scores.probabilities)}")
    wanted = np.asarray(list(truth), dtype=object)
    frame = scores.frame()
    answers = np.asarray(frame["label"].to_list(), dtype=object)
    correct = answers == wanted
    interval = proportion_confint(int(correct.sum()), len(correct), alpha=1 - _CONFIDENCE, method="wilson")
    low, high = np.asarray(interval, dtype=np.float64)
    loss, unknown = _loss(truth, scores)
    labels = {name: _score_label(name, wanted, answers) for name in sorted(set(truth))}
    return Scorecard(
        cases=len(correct),
        accuracy=float(correct.mean()),
        accuracy_low=float(low),
        accuracy_high=float(high),
        macro_f1=float(np.mean([_f1(score) for score in labels.values()])),
        loss=loss,
        unknown=unknown,
        calibration_error=expected_calibration_error(frame["confidence"].to_numpy(), correct),
        labels=labels,
    )


def _score_label(name: str, truth: np.ndarray, answers: np.ndarray) -> LabelScore:
    found = int(((truth == name) & (answers == name)).sum())
    support, answered = int((truth == name).sum()), int((answers == name).sum())
    return LabelScore(support, found / support, found / answered if answered else None)


def _f1(score: LabelScore) -> float:
    precision = score.precision or 0.0
    return 2 * precision * score.recall / (precision + score.recall) if score.recall else 0.0


def _loss(truth: Sequence[str], scores: Scores) -> tuple[float | None, int]:
    place = {name: column for column, name in enumerate(scores.labels)}
    known = [(row, place[label]) for row, label in enumerate(truth) if label in place]
    if not known:
        return None, len(truth)
    rows, columns = np.array(known).T
    chances = scores.probabilities[rows, columns].astype(np.float64)
    return float(-np.log(np.maximum(chances, 1e-12)).mean()), len(truth) - len(known)
