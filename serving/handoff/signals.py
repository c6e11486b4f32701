"""The signals that an answer would be wrong, as numbers that grow with the risk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from labeling.config import Config
from serving.handoff.cases import Answers, Cases
from serving.handoff.decisions import LOW_CONFIDENCE
from serving.sentiment_path import measure_fall

DOUBT: Final = LOW_CONFIDENCE
AMBIGUITY: Final = "ambiguous"
NOVELTY: Final = "out_of_scope"
NEGATIVE: Final = "negative_sentiment"
FALL: Final = "falling_sentiment"
WISHED: Final = "wish_for_person"
REPEATED: Final = "repeated_question"

SIGNALS: Final = (DOUBT, AMBIGUITY, NOVELTY, NEGATIVE, FALL, WISHED, REPEATED)
"""In the order of the columns of ``measure_signals``."""

OF_TASKS: Final = (DOUBT, AMBIGUITY, NOVELTY)
"""Those that are about one task's answer."""

_LEAST: Final = 1e-6


class Sets(Config):
    """By task, the least probability with which a label is in the set of likely answers (``fit_sets``)."""

    cuts: dict[str, float]

    def sizes(self, task: str, answers: Answers) -> np.ndarray:
        """Return how many answers are likely, (n,) >= 1; 1 of a task that has no cut."""
        if task not in self.cuts:
            return np.ones(len(answers.confidences))
        return np.maximum((answers.scores.probabilities >= self.cuts[task]).sum(axis=1), 1)


def fit_sets(chances: Mapping[str, np.ndarray], coverage: float) -> Sets:
    """Return sets that hold the true label with chance ``coverage`` (split conformal; Sadinle et al., 2019).

    Args:
        chances: by task, the probability that the model gives to the true label of each of n cases that are used for
            nothing else, (n,); n may differ, and a task with too few for ``coverage`` gets no set.
        coverage: in (0, 1).
    """
    cuts = {}
    for task, found in chances.items():
        place = int(np.floor((len(found) + 1) * (1 - coverage))) - 1
        if place >= 0:
            cuts[task] = float(np.sort(found)[place])
    return Sets(cuts=cuts)


@dataclass(frozen=True)
class Signals:
    """The signals of n cases: ``values`` (n, signals), and by signal of one task's answer, which task's it is."""

    values: np.ndarray
    strongest: Mapping[str, Sequence[str]]

    def task_of(self, signal: str, row: int) -> str:
        """Return the task that a signal of one case is about, "" where it is about none."""
        return self.strongest[signal][row] if signal in self.strongest else ""


def measure_signals(cases: Cases, tasks: Sequence[str], sets: Sets) -> Signals:
    """Return every signal of every case.

    Doubt is the log odds that one of the answers of ``tasks`` is wrong, by their confidences; ambiguity the logarithm
    of how many combinations of answers are likely; novelty the largest of theirs (0 where it was not measured).
    """
    known = [task for task in tasks if task in cases.answers]
    said = [cases.answers[task] for task in known]
    sure = _columns([np.clip(one.confidences, _LEAST, 1 - _LEAST) for one in said], len(cases))
    sizes = _columns([sets.sizes(task, one) for task, one in zip(known, said, strict=True)], len(cases))
    novelty = _columns([read_novelty(one) for one in said], len(cases))
    right, scores = sure.prod(axis=1), cases.mood_scores()
    values = [
        np.log1p(-np.minimum(right, 1 - _LEAST)) - np.log(right),
        np.log(np.maximum(sizes, 1)).sum(axis=1),
        novelty.max(axis=1) if known else np.zeros(len(cases)),
        np.array([-one[-1] if len(one) else 0.0 for one in scores]),
        np.array([measure_fall(one) for one in scores]),
        cases.wishes.astype(np.float64),
        cases.repetition,
    ]
    strongest = {DOUBT: -sure, AMBIGUITY: sizes, NOVELTY: novelty}
    named = {
        name: [known[place] for place in found.argmax(axis=1)] if known else [""] * len(cases)
        for name, found in strongest.items()
    }
    return Signals(np.column_stack(values), named)


def _columns(arrays: Sequence[np.ndarray], rows: int) -> np.ndarray:
    return np.column_stack(arrays) if arrays else np.zeros((rows, 0))


def read_novelty(answers: Answers) -> np.ndarray:
    """Return the novelty of each message, (n,); 0 where it was not measured: nothing remarkable."""
    novelty = answers.scores.novelty
    return np.zeros(len(answers.confidences)) if novelty is None else np.nan_to_num(novelty.astype(np.float64))
