"""What a handoff policy comes to on reviewed cases: risk against coverage, intent by intent, group by group."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from assets.handoff import ReviewedCases
from serving.handoff.fitting import find_wrong
from serving.handoff.policy import HandoffPolicy, find_rules
from serving.handoff.promise import Promise, bound_error
from serving.handoff.signals import SIGNALS

_FEW: Final = 10
"""An intent with fewer cases than this says next to nothing alone."""


@dataclass(frozen=True)
class Curve:
    """Risk against coverage as the threshold is relaxed, over m cases.

    Attributes:
        coverage: the share of cases kept, (m,), rising.
        risk: the share of wrong answers among those kept, (m,).
        upper: its upper bound at the promise's confidence, each for itself, (m,).
        kept: the coverage of the fitted threshold; ``wrong`` its share of wrong answers, None where nothing is kept.
    """

    coverage: np.ndarray
    risk: np.ndarray
    upper: np.ndarray
    kept: float
    wrong: float | None


@dataclass(frozen=True)
class IntentRow:
    """One answer of the model: its ``cases``, how many of them are ``wrong``, and the same of those kept.

    ``limit`` is the largest risk at which it is kept, None where it never is; ``bound`` the upper bound on the share of
    wrong answers among those kept, None where none are. ``is_small`` says that these are too few cases to go by.
    """

    label: str
    cases: int
    wrong: int
    kept: int
    wrong_kept: int
    limit: float | None
    bound: float | None
    is_small: bool


@dataclass(frozen=True)
class Study:
    """A policy on reviewed cases.

    Attributes:
        policy: what was studied.
        cases: how many there were; ``ruled`` of them are handed off whatever their risk.
        curve: of all that are not.
        intents: by answer, the commonest first; ``curves`` theirs, by answer, where there are cases enough.
        groups: by name.
        weights: of the signals that count, the heaviest first.
    """

    policy: HandoffPolicy
    cases: int
    ruled: int
    curve: Curve
    intents: Sequence[IntentRow]
    curves: dict[str, Curve]
    groups: dict[str, Promise]
    weights: Sequence[tuple[str, float]]


def study_policy(policy: HandoffPolicy, found: ReviewedCases) -> Study:
    """Return what ``policy`` comes to on ``found``."""
    about, sure = _Found.of(policy, found), policy.config.confidence
    intents = [_row(str(name), about, sure) for name in sorted(set(about.labels))]
    intents.sort(key=lambda row: (-row.cases, row.label))
    weights = zip(SIGNALS, policy.risk.weights, strict=True)
    return Study(
        policy=policy,
        cases=len(found.cases),
        ruled=int((~about.free).sum()),
        curve=about.trace(about.free, sure),
        intents=intents,
        curves={
            row.label: about.trace(about.free & (about.labels == row.label), sure)
            for row in intents
            if not row.is_small
        },
        groups=policy.groups,
        weights=sorted(((name, weight) for name, weight in weights if weight), key=lambda pair: -pair[1]),
    )


def trace(scores: np.ndarray, wrong: np.ndarray, keeps: np.ndarray, confidence: float) -> Curve:
    """Return the curve over cases (n,): ``scores``, which answers are wrong, and which the policy keeps."""
    order = np.argsort(scores, kind="stable")
    counts = np.arange(1, len(order) + 1)
    errors = np.cumsum(wrong[order])
    bounds = [bound_error(int(error), int(count), confidence) for error, count in zip(errors, counts, strict=True)]
    kept = int(keeps.sum())
    return Curve(
        coverage=counts / max(len(order), 1),
        risk=errors / counts,
        upper=np.array(bounds),
        kept=kept / max(len(order), 1),
        wrong=float(wrong[keeps].mean()) if kept else None,
    )


def _row(label: str, found: "_Found", sure: float) -> IntentRow:
    mine = found.labels == label
    kept, errors = int((mine & found.keeps).sum()), int((mine & found.keeps & found.wrong).sum())
    known = found.limits[mine][np.isfinite(found.limits[mine])]
    return IntentRow(
        label=label,
        cases=int(mine.sum()),
        wrong=int((mine & found.wrong).sum()),
        kept=kept,
        wrong_kept=errors,
        limit=float(known.max()) if len(known) else None,
        bound=bound_error(errors, kept, sure) if kept else None,
        is_small=int(mine.sum()) < _FEW,
    )


@dataclass(frozen=True)
class _Found:
    """Of n cases the answer, whether it is wrong and kept, its score, the largest risk kept, and if no rule holds."""

    labels: np.ndarray
    wrong: np.ndarray
    keeps: np.ndarray
    scores: np.ndarray
    limits: np.ndarray
    free: np.ndarray

    @classmethod
    def of(cls, policy: HandoffPolicy, found: ReviewedCases) -> "_Found":
        cases = found.cases
        ruled = find_rules(cases, policy.tasks, policy.rules, policy.config)
        return cls(
            labels=np.array(cases.answers[policy.tasks[0]].labels, dtype=object),
            wrong=find_wrong(cases, found.outcomes, policy.tasks, count_needed=policy.config.count_needed),
            keeps=policy.keeps(cases),
            scores=policy.scores(cases),
            limits=np.array([np.nan if one.threshold is None else one.threshold for one in policy.decide(cases)]),
            free=np.array([not rule for rule in ruled], dtype=bool),
        )

    def trace(self, rows: np.ndarray, sure: float) -> Curve:
        return trace(self.scores[rows], self.wrong[rows], self.keeps[rows], sure)
