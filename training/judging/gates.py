"""Gates: may this challenger replace the champion? Answered on the same cases, with what the cases can show.

Both models answer the same test cases, so only the cases on which one is right and the other wrong say anything:
*losses* (the champion was right, the challenger is wrong) and *wins*. Were the two equally good, each such case would
be either with one half, and the number of losses is binomial: the exact one-sided McNemar test (McNemar, 1947; Fay,
2011) gives the chance of at least so many losses. It needs no large numbers, and no assumption on the cases.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from pydantic import Field

from labeling.config import Config

Passing = Literal["passed", "failed", "undecided", "waived"]


class GatePolicy(Config):
    """When to promote.

    Args of the file:
        min_cases: fewer test cases decide nothing (>= 1).
        alpha: a loss less likely than this by chance is real, in (0, 0.5].
        margin: a loss of accuracy beyond this, though it may be chance, is not waved through, in [0, 1].
        max_recall_drop: a label that loses more of its recall than this has collapsed, if ``alpha`` says it is real.
        min_support: labels with fewer test cases are not judged alone (>= 1).
    """

    schema_version: int = Field(ge=1, le=1)
    min_cases: int = Field(ge=1)
    alpha: float = Field(gt=0, le=0.5)
    margin: float = Field(ge=0, le=1)
    max_recall_drop: float = Field(ge=0, le=1)
    min_support: int = Field(ge=1)


@dataclass(frozen=True)
class GateResult:
    """One gate: what was measured, what was needed, and (unless it passed) what would help.

    ``slice`` is (dimension, value) of the one that it is about, ``p`` its p-value, ``power`` the chance that the
    ``cases`` would have shown the harm that matters, ``smallest_drop`` the smallest that they could show.
    """

    name: str
    verdict: Passing
    measured: str
    needed: str
    remedy: str = ""
    slice: tuple[str, str] | None = None
    p: float | None = None
    power: float | None = None
    smallest_drop: float | None = None
    cases: int | None = None


@dataclass(frozen=True)
class Promote:
    """Every gate was passed; a person may approve."""

    gates: tuple[GateResult, ...]
    name = "promote"


@dataclass(frozen=True)
class Hold:
    """A gate was failed: harm was shown."""

    gates: tuple[GateResult, ...]
    name = "hold"


@dataclass(frozen=True)
class Inconclusive:
    """No gate was failed, but the cases cannot show what is needed."""

    gates: tuple[GateResult, ...]
    name = "inconclusive"


Verdict = Promote | Hold | Inconclusive


def judge(
    truth: Sequence[str],
    champion_answers: Sequence[str] | None,
    challenger_answers: Sequence[str],
    policy: GatePolicy,
) -> Verdict:
    """Judge a challenger on cases of one task that neither model trained on.

    Beside a champion: it is not worse (``not_worse``), and no label collapses (``no_label_collapses``). Without one:
    it is shown better than always giving the commonest answer (``beats_commonest``). Fewer cases than
    ``policy.min_cases`` decide nothing. "Not worse" is not shown to be true here, which would take thousands of
    cases; it is that no harm is shown, and that none beyond the margin is seen.

    Args:
        truth: the settled label of each case.
        champion_answers: the champion's label of each case, None for a first champion.
        challenger_answers: the challenger's label of each case.
        policy: where the lines are.

    Raises:
        ValueError: the three are not of one length.
    """
    given = [truth, challenger_answers] + ([] if champion_answers is None else [champion_answers])
    if len({len(answers) for answers in given}) > 1:
        raise ValueError(f"judging needs one answer a case, found {', '.join(str(len(one)) for one in given)}")
    enough = _enough_cases(len(truth), policy)
    if enough.verdict != "passed":
        return _conclude((enough,))
    wanted, challenger = _array(truth), _array(challenger_answers)
    if champion_answers is None:
        return _conclude((enough, _beats_commonest(wanted, challenger, policy)))
    champion = _array(champion_answers)
    gates = (
        _not_worse(wanted, champion, challenger, policy),
        _no_label_collapses(wanted, champion, challenger, policy),
    )
    return _conclude((enough, *gates))


def join_verdicts(verdicts: Mapping[str, Verdict]) -> Verdict:
    """Return the verdict on a release from those on its tasks: one Hold holds it, else one Inconclusive leaves it open.

    The gates of each task keep their order, and are called ``<task>.<gate>``.
    """
    gates = [replace(gate, name=f"{task}.{gate.name}") for task, verdict in verdicts.items() for gate in verdict.gates]
    return _conclude(tuple(gates))


def mcnemar(losses: int, wins: int) -> float:
    """Return the chance of at least so many losses were both models equally good: exact, one-sided, in (0, 1].

    Without a case on which they differ it is 1.
    """
    from scipy.stats import binomtest

    decided = losses + wins
    return float(binomtest(losses, decided, 0.5, alternative="greater").pvalue) if decided else 1.0


def _conclude(gates: tuple[GateResult, ...]) -> Verdict:
    verdicts = {gate.verdict for gate in gates}
    if "failed" in verdicts:
        return Hold(gates)
    return Inconclusive(gates) if "undecided" in verdicts or not gates else Promote(gates)


def _enough_cases(cases: int, policy: GatePolicy) -> GateResult:
    needed, measured = f"at least {policy.min_cases} test cases", f"{cases}"
    if cases >= policy.min_cases:
        return GateResult("enough_cases", "passed", measured, needed)
    remedy = f"review {policy.min_cases - cases} audit cases more, or lower min_cases in gates.yaml"
    return GateResult("enough_cases", "undecided", measured, needed, remedy)


def _not_worse(truth: np.ndarray, champion: np.ndarray, challenger: np.ndarray, policy: GatePolicy) -> GateResult:
    losses, wins = _differences(truth, champion, challenger)
    chance = mcnemar(losses, wins)
    change = (wins - losses) / len(truth)
    measured = f"{losses} losses, {wins} wins of {len(truth)} (accuracy {change:+.1%}, p {chance:.3f})"
    needed = f"p above {policy.alpha:g} and accuracy no lower than {-policy.margin:+.1%}"
    if chance <= policy.alpha:
        remedy = "look at the lost cases: wrong labels among the new ones, or an intent that got too few"
        return GateResult("not_worse", "failed", measured, needed, remedy)
    if change < -policy.margin:
        remedy = "review more audit cases: a loss this large may be real, and so few cases cannot tell"
        return GateResult("not_worse", "undecided", measured, needed, remedy)
    return GateResult("not_worse", "passed", measured, needed)


def _no_label_collapses(
    truth: np.ndarray, champion: np.ndarray, challenger: np.ndarray, policy: GatePolicy
) -> GateResult:
    """Hold where a label lost more recall than allowed and chance does not explain it.

    The line on the drop keeps chance out where labels are many: with it, the tests need no correction for their
    number, which at the support that single labels have would leave a collapse unseen.
    """
    collapsed: list[str] = []
    judged = 0
    for label in sorted(set(truth.tolist())):
        cases = truth == label
        if cases.sum() < policy.min_support:
            continue
        judged += 1
        losses, wins = _differences(truth[cases], champion[cases], challenger[cases])
        drop = (losses - wins) / int(cases.sum())
        if drop > policy.max_recall_drop and mcnemar(losses, wins) <= policy.alpha:
            collapsed.append(f"{label} lost {drop:.0%} of {int(cases.sum())} cases")
    unjudged = len(set(truth.tolist())) - judged
    measured = f"{'; '.join(collapsed) or 'none'} ({judged} labels judged, {unjudged} with too few cases)"
    needed = f"no label of {policy.min_support} cases or more loses over {policy.max_recall_drop:.0%} of its recall"
    if not collapsed:
        return GateResult("no_label_collapses", "passed", measured, needed)
    remedy = "review cases of these labels, and look whether new labels were settled wrongly"
    return GateResult("no_label_collapses", "failed", measured, needed, remedy)


def _beats_commonest(truth: np.ndarray, challenger: np.ndarray, policy: GatePolicy) -> GateResult:
    names, counts = np.unique(truth, return_counts=True)
    commonest = np.full(len(truth), names[counts.argmax()], dtype=object)
    behind, ahead = _differences(truth, commonest, challenger)
    chance = mcnemar(ahead, behind)
    accuracy, common = (challenger == truth).mean(), counts.max() / len(truth)
    measured = f"accuracy {accuracy:.1%}, the commonest answer {common:.1%}, p {chance:.3f}"
    needed = f"better than the commonest answer, p at most {policy.alpha:g}"
    if chance <= policy.alpha:
        return GateResult("beats_commonest", "passed", measured, needed)
    if ahead > behind:
        remedy = "review more cases: it looks better, and so few cannot tell"
        return GateResult("beats_commonest", "undecided", measured, needed, remedy)
    return GateResult("beats_commonest", "failed", measured, needed, "review more cases to train on, of every label")


def _differences(truth: np.ndarray, champion: np.ndarray, challenger: np.ndarray) -> tuple[int, int]:
    """Return losses and wins of the challenger."""
    was, now = champion == truth, challenger == truth
    return int((was & ~now).sum()), int((~was & now).sum())


def _array(answers: Sequence[str]) -> np.ndarray:
    return np.asarray(list(answers), dtype=object)
