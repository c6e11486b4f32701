"""The gates on all test cases of a task: is the challenger better, or at least no worse?"""

import numpy as np

from training.judging.answers import Paired
from training.judging.disagreements import AccuracyDifference, DisagreementSample, estimate_difference, is_settled
from training.judging.evidence import Evidence
from training.judging.gates import BETTER, GatePolicy, GateResult
from training.judging.paired import difference_interval, exclude_loss, holm, mcnemar, power_to_show


def judge_size(cases: int, policy: GatePolicy) -> GateResult:
    """Return whether there are enough test cases to say anything."""
    needed, measured = f"at least {policy.min_cases} test cases", f"{cases}"
    if cases >= policy.min_cases:
        return GateResult("enough_cases", "passed", measured, needed, cases=cases)
    lacking = policy.min_cases - cases
    remedy = f"review {lacking} audit cases more, or lower min_cases in gates.yaml"
    return GateResult("enough_cases", "undecided", measured, needed, remedy, cases=cases, lacking=lacking)


def judge_better(answers: Paired, evidence: Evidence, policy: GatePolicy) -> GateResult:
    """Return whether the challenger is shown better than the champion.

    By the sealed test at half the level of the look, or by the sample of disagreements at the other half, whichever
    shows it: together they err no more often than the level (Bonferroni).
    """
    losses, wins = answers.count()
    level, cases = evidence.alpha / 2, answers.cases
    p = float(mcnemar(wins, losses))
    measured = _describe(losses, wins, cases, p)
    sample = evidence.disagreements
    is_shown = p <= level
    if sample is not None:
        difference = estimate_difference(sample)
        measured += f"; {_describe_sample(sample)}"
        if is_settled(sample, most_missing=policy.max_unanswered_share):
            is_shown, p = is_shown or difference.p_better <= level, min(p, difference.p_better)
    power = power_to_show(cases, policy.smallest_gain, round(losses / cases, 3), level)
    needed = f"better with p at most {level:.2g}, on the test or on the disagreements"
    remedy = "" if is_shown else _what_shows(sample, losses, level, policy)
    return GateResult(
        BETTER, "passed" if is_shown else "undecided", measured, needed, remedy, p=p, power=power, cases=cases
    )


def judge_not_worse(answers: Paired, evidence: Evidence, policy: GatePolicy) -> GateResult:
    """Return whether the challenger is no worse than the champion by the margin.

    Where the request is to refresh, that must be shown (Tango's score, or the interval of the disagreements, each at
    half the look's level). Where it is to improve, another gate asks for more; here it is enough that no loss is shown
    nor one beyond the margin seen, which is what a release's other tasks are held to. It fails where a loss is shown
    and what is seen of it lies beyond the margin.
    """
    if answers.is_same():
        return GateResult(
            "not_worse", "passed", "the same answers with the same confidence", "no worse", cases=answers.cases
        )
    shown = _is_shown_close(answers, evidence, policy)
    sample = _settled(evidence, policy)
    others = (
        [] if sample is None else [(float(mcnemar(sample.champion, sample.challenger)), estimate_difference(sample))]
    )
    return _hold_against(
        "not_worse", answers, "champion", policy, is_shown=shown, others=others, strict=evidence.request == "refresh"
    )


def judge_reference(answers: Paired, evidence: Evidence, policy: GatePolicy) -> GateResult:
    """Return whether the challenger is no worse by the margin than the reference, which stands while champions change.

    It keeps small losses, each within what a single test lets pass, from adding up.
    """
    losses, wins = answers.count("reference")
    p = exclude_loss(wins, losses, answers.cases, margin=policy.margin)
    return _hold_against(
        "not_worse_than_reference",
        answers,
        "reference",
        policy,
        is_shown=p <= policy.harm_alpha,
        others=[],
        strict=evidence.request == "refresh",
    )


def judge_first(answers: Paired, evidence: Evidence) -> GateResult:
    """Return whether a first champion is shown better than always giving the commonest answer."""
    counts = np.bincount(answers.places["label"])
    right, common = answers.right["challenger"], answers.places["label"] == counts.argmax()
    ahead, behind = int((right & ~common).sum()), int((common & ~right).sum())
    p, cases = float(mcnemar(ahead, behind)), answers.cases
    measured = f"accuracy {right.mean():.1%}, the commonest answer {counts.max() / cases:.1%}, p {p:.2g}"
    needed = f"better than the commonest answer, p at most {evidence.alpha:.2g}"
    if p <= evidence.alpha:
        return GateResult("beats_commonest", "passed", measured, needed, p=p, cases=cases)
    if ahead > behind:
        remedy = f"review {cases} test cases more: it looks better, and so few cannot tell"
        return GateResult("beats_commonest", "undecided", measured, needed, remedy, p=p, cases=cases, lacking=cases)
    remedy = "train on more labels: it has not learnt to tell them apart"
    return GateResult("beats_commonest", "failed", measured, needed, remedy, p=p, cases=cases)


def _hold_against(
    name: str,
    answers: Paired,
    beside: str,
    policy: GatePolicy,
    *,
    is_shown: bool,
    others: list[tuple[float, AccuracyDifference]],
    strict: bool,
) -> GateResult:
    losses, wins = answers.count(beside)
    cases = answers.cases
    harm = float(mcnemar(losses, wins))
    low, high = difference_interval(wins, losses, cases, confidence=0.9)
    measured = f"{_describe(losses, wins, cases, harm)}, 90% interval {low:+.1%} to {high:+.1%}"
    needed = f"{'shown to be ' if strict else ''}no worse than the {beside} by {policy.margin:.1%}"
    if is_shown:
        return GateResult(name, "passed", measured, needed, p=harm, cases=cases)
    seen = (wins - losses) / cases
    refuted = holm([harm, *(p for p, _ in others)], policy.harm_alpha)
    changes = np.array([seen, *(other.value for _, other in others)])
    if (refuted & (changes < -policy.margin)).any():
        remedy = "look at the lost cases: wrong labels among the new ones, or a label that got too few"
        return GateResult(name, "failed", measured, needed, remedy, p=harm, cases=cases)
    if not strict and not refuted.any() and seen >= -policy.margin:
        return GateResult(name, "passed", f"{measured}: no loss shown", needed, p=harm, cases=cases)
    lacking = _more_cases(low, seen, cases, policy.margin)
    remedy = f"review about {lacking} test cases more: so few cannot rule out a loss beyond the margin"
    return GateResult(name, "undecided", measured, needed, remedy, p=harm, cases=cases, lacking=lacking)


def _is_shown_close(answers: Paired, evidence: Evidence, policy: GatePolicy) -> bool:
    losses, wins = answers.count()
    if exclude_loss(wins, losses, answers.cases, margin=policy.margin) <= evidence.alpha / 2:
        return True
    sample = _settled(evidence, policy)
    return sample is not None and estimate_difference(sample, confidence=1 - evidence.alpha).low > -policy.margin


def _settled(evidence: Evidence, policy: GatePolicy) -> DisagreementSample | None:
    sample = evidence.disagreements
    return sample if sample and is_settled(sample, most_missing=policy.max_unanswered_share) else None


def _describe(losses: int, wins: int, cases: int, p: float) -> str:
    return f"{losses} losses, {wins} wins of {cases} (accuracy {(wins - losses) / cases:+.1%}, p {p:.2g})"


def _describe_sample(sample: DisagreementSample) -> str:
    found = estimate_difference(sample)
    return (
        f"{sample.answered} of {sample.asked} disagreements answered ({sample.missing_share:.0%} without): challenger "
        f"right in {sample.challenger}, champion in {sample.champion}, both {sample.both}, neither {sample.neither}; "
        f"accuracy {found.value:+.1%} ({found.low:+.1%} to {found.high:+.1%}, p {found.p_better:.2g})"
    )


def _what_shows(sample: DisagreementSample | None, losses: int, level: float, policy: GatePolicy) -> str:
    if sample is None:
        wins = losses + np.arange(1, 4 * losses + 64)
        enough = int(wins[np.argmax(mcnemar(wins, losses) <= level)])
        return (
            f"{enough} wins beside as many losses would show it: have people read the fresh cases on which they differ"
        )
    if is_settled(sample, most_missing=policy.max_unanswered_share):
        return "neither the test nor the disagreements show a gain: train on more labels"
    return f"have people answer the other {sample.asked - sample.answered} disagreements of the sample"


def _more_cases(low: float, middle: float, cases: int, margin: float) -> int:
    """Return about how many cases more bring the low end of the interval above the margin, the difference unchanged."""
    room = middle + margin
    return max(1, round(cases * (((middle - low) / room) ** 2 - 1))) if room > 0 else cases
