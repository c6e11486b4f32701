"""Who confuses what with what: crowd-kit's expectation-maximisation under a team's priors. The one file that knows it.

crowd-kit (Ustalov et al., 2024) runs the model of Dawid and Skene (1979): its start by majority, its E-step, its bound
and its stopping rule are used as they are. Its M-step is replaced, because it has no prior: five answers would make a
matrix of 77 by 77, and a person with one answer would be perfect or hopeless.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

PRIOR_RIGHT: Final = 9.0
PRIOR_WRONG: Final = 1.0
"""Before anyone overlaps, a team is taken to be right nine times in ten, on the strength of ten answers."""

POOLED_ANSWERS: Final = 10.0
"""A person is taken to be like the team on the strength of this many answers (partial pooling)."""

FULL_MATRIX_BEYOND: Final = 50
"""With more answers than this that others gave too, a person has a confusion matrix of their own."""

_CELL: Final = 3.0
"""Each cell of a matrix is drawn to what is expected (skill, and how a team errs) as if by so many answers in it."""
_LABEL_ANSWERS: Final = 10.0
"""Labels are taken to be equally frequent on the strength of so many interactions of each."""
_ROUNDS: Final = 50


@dataclass(frozen=True)
class Confusions:
    """What each annotator says when each label is true.

    ``skills`` (annotators,) in (0, 1); ``matrices`` (annotators, said, true), each column summing to 1; ``priors``
    (labels,), how frequent each label is; ``overlapping`` (annotators,), how many answers each skill rests on.
    """

    skills: np.ndarray
    matrices: np.ndarray
    priors: np.ndarray
    overlapping: np.ndarray


def fit_confusions(
    cases: np.ndarray, annotators: np.ndarray, said: np.ndarray, *, people: int, labels: int
) -> Confusions:
    """Estimate everybody's confusions from cases that at least two people answered.

    A person alone always agrees with themselves, so lone answers teach nothing of anyone. A person has one coin: right
    with their skill, else wrong as the whole team is wrong; beyond ``FULL_MATRIX_BEYOND`` answers, a full matrix.

    Args:
        cases: (n,) int, the case of each answer; the order of answers decides the last digits of sums.
        annotators: (n,) int in [0, people).
        said: (n,) int in [0, labels).
        people: how many annotators there are.
        labels: how many labels there are (>= 2).
    """
    counted = np.bincount(cases) if len(cases) else np.zeros(1, dtype=int)
    shared = counted[cases] > 1
    team = _Team(people, labels, annotators[shared], said[shared])
    if not shared.any():
        nobody = np.zeros((people, labels, labels))
        return Confusions(*team.estimate(nobody), np.full(labels, 1 / labels), np.zeros(people, dtype=int))
    model = _model()(n_iter=_ROUNDS)
    model.team = team
    model.fit(_frame(cases[shared], annotators[shared], said[shared]))
    priors = team.smooth(np.asarray(model.probas_.mean()), len(model.probas_))
    skills, matrices = team.estimate(team.count(model.probas_, cases[shared]))
    return Confusions(skills, matrices, priors, np.bincount(annotators[shared], minlength=people))


def weigh_labels(cases: np.ndarray, annotators: np.ndarray, said: np.ndarray, confusions: Confusions) -> np.ndarray:
    """Return the probability of every label of every case given its answers: (cases, labels), rows summing to 1.

    ``cases`` are numbered from 0 without a gap; the rest as for ``fit_confusions``.
    """
    import pandas as pd
    from crowdkit.aggregation import DawidSkene

    data = _frame(cases, annotators, said)
    weighed = DawidSkene._e_step(data, pd.Series(confusions.priors.copy()), _errors(confusions.matrices))
    return weighed.sort_index().to_numpy()


class _Team:
    """The M-step: counts of answers to skills and matrices, with their priors."""

    def __init__(self, people: int, labels: int, annotators: np.ndarray, said: np.ndarray) -> None:
        self.people, self.labels, self.annotators, self.said = people, labels, annotators, said
        self.overlapping = np.bincount(annotators, minlength=people)
        self._frequency = np.bincount(said, minlength=labels) + 1.0

    def count(self, probas: "pd.DataFrame", cases: np.ndarray) -> np.ndarray:
        """Return how often each annotator said each label where each was true, (people, said, true)."""
        known = probas.reindex(columns=range(self.labels), fill_value=0.0)
        counts = np.zeros((self.people * self.labels, self.labels))
        np.add.at(counts, self.annotators * self.labels + self.said, known.loc[cases].to_numpy())
        return counts.reshape(self.people, self.labels, self.labels)

    def estimate(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return skills (people,) and matrices (people, said, true)."""
        right = np.einsum("pkk->p", counts)
        pooled = (right.sum() + PRIOR_RIGHT) / (counts.sum() + PRIOR_RIGHT + PRIOR_WRONG)
        skills = (right + POOLED_ANSWERS * pooled) / (counts.sum(axis=(1, 2)) + POOLED_ANSWERS)
        matrices = skills[:, None, None] * np.eye(self.labels) + (1 - skills)[:, None, None] * self._wrong(counts)
        known = self.overlapping > FULL_MATRIX_BEYOND
        own = counts[known] + _CELL * self.labels * matrices[known]
        matrices[known] = own / own.sum(axis=1, keepdims=True)
        return skills, matrices

    def smooth(self, priors: np.ndarray, cases: int) -> np.ndarray:
        """Return label frequencies drawn to equal ones."""
        return (priors * cases + _LABEL_ANSWERS) / (cases + _LABEL_ANSWERS * self.labels)

    def _wrong(self, counts: np.ndarray) -> np.ndarray:
        """Return what the team says where it is wrong, (said, true): like all answers until its confusions are seen."""
        others = np.repeat(self._frequency[:, None], self.labels, axis=1)
        seen = counts.sum(axis=0)
        for matrix in (others, seen):
            np.fill_diagonal(matrix, 0.0)
        wrong = seen + _CELL * self.labels * others / others.sum(axis=0)
        return wrong / wrong.sum(axis=0)


@cache
def _model() -> Any:
    """Return crowd-kit's one-coin model with the team's M-step and smoothed label frequencies in place of its own."""
    import pandas as pd
    from crowdkit.aggregation import OneCoinDawidSkene

    class TeamDawidSkene(OneCoinDawidSkene):
        team: _Team

        def _m_step(self, data: pd.DataFrame, probas: pd.DataFrame) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
            return self.team.count(probas, data["task"].to_numpy())

        def _process_skills_to_errors(self, data: Any, probas: Any, skills: Any) -> pd.DataFrame:  # pyright: ignore[reportIncompatibleMethodOverride]
            return _errors(self.team.estimate(skills)[1])

        def _e_step(self, data: pd.DataFrame, priors: Any, errors: pd.DataFrame) -> pd.DataFrame:  # pyright: ignore[reportIncompatibleMethodOverride]
            cases = len(np.unique(data["task"]))
            known = priors.reindex(range(self.team.labels), fill_value=0.0).to_numpy()
            return OneCoinDawidSkene._e_step(data, pd.Series(self.team.smooth(known, cases)), errors)

    return TeamDawidSkene


def _frame(cases: np.ndarray, annotators: np.ndarray, said: np.ndarray) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame({"task": cases, "worker": annotators, "label": said})


def _errors(matrices: np.ndarray) -> "pd.DataFrame":
    import pandas as pd

    people, labels, _ = matrices.shape
    index = pd.MultiIndex.from_product([range(people), range(labels)], names=["worker", "label"])
    return pd.DataFrame(np.clip(matrices, 1e-10, 1.0).reshape(people * labels, labels), index=index)
