"""The gates on everything but right and wrong answers: what must not get worse while accuracy gets better.

Each asks whether harm is *shown*, at ``guard_alpha`` (Holm over what it looks at): these properties are measured, but a
challenger need not prove that each is no worse. What was not measured leaves no gate.
"""

from collections.abc import Sequence

import numpy as np

from training.judging.answers import Paired
from training.judging.evidence import Evidence
from training.judging.gates import GatePolicy, GateResult
from training.judging.paired import compare_detection, compare_failures, deal_losses, holm, resample_mean
from training.judging.slices import SliceCounts

_SMALLEST_CHANCE = 1e-12
_MOST_TOLD = 4
"""Of so many documents with personal data the name is told."""


def judge_calibration(answers: Paired, policy: GatePolicy, rng: np.random.Generator) -> list[GateResult]:
    """Return whether confidences are shown to mean less: paired bootstrap on loss (NLL) and Brier score.

    Over the cases whose truth both models know.
    """
    chances, briers = (_columns(answers, part) for part in ("truth_chance", "brier"))
    known = np.isfinite(chances).all(axis=0)
    if not known.any():
        return []
    losses = -np.log(np.maximum(chances[:, known], _SMALLEST_CHANCE))
    worse = {"loss": losses[0] - losses[1], "Brier score": briers[0, known] - briers[1, known]}
    p = [resample_mean(difference, rng=rng) for difference in worse.values()]
    told = [
        f"{name} {value.mean():+.4f} (p {chance:.2g})" for (name, value), chance in zip(worse.items(), p, strict=True)
    ]
    needed = f"neither shown higher (paired bootstrap, p at most {policy.guard_alpha:g})"
    remedy = (
        "look at the cases of which it is wrongly sure, and review more calibrate cases, which its temperature fits"
    )
    cases, measured = int(known.sum()), "; ".join(told)
    return [_guard("calibration", p, measured=measured, needed=needed, remedy=remedy, policy=policy, cases=cases)]


def judge_out_of_scope(answers: Paired, outside: np.ndarray, policy: GatePolicy) -> list[GateResult]:
    """Return whether novelty is shown to tell messages outside every label apart less well (area under the ROC curve).

    A text that a model's first reader answered has no novelty and counts as the least novel.

    Args:
        answers: what the models said.
        outside: (n,) bool, which cases people found to be none of the labels.
        policy: how many such cases are needed.
    """
    novelty = _columns(answers, "novelty")
    if np.isnan(novelty).all(axis=1).any():
        return []
    count, needed = int(outside.sum()), f"area under the ROC curve not shown lower, p at most {policy.guard_alpha:g}"
    if count < policy.min_out_of_scope:
        lacking = policy.min_out_of_scope - count
        needed = f"at least {policy.min_out_of_scope} out-of-scope cases"
        remedy = f"review audit cases until {lacking} more are out of scope, or lower min_out_of_scope in gates.yaml"
        return [GateResult("out_of_scope", "undecided", f"{count} cases", needed, remedy, cases=count, lacking=lacking)]
    if min(count, len(outside) - count) < 2:
        said = f"{count} out-of-scope cases tell nothing; min_out_of_scope in gates.yaml asks for no more"
        return [GateResult("out_of_scope", "passed", said, needed, cases=count)]
    after, before = np.where(np.isnan(novelty), -np.inf, novelty)
    was, now, p = compare_detection(before, after, outside)
    measured = f"{count} out-of-scope cases: area {now:.3f}, the champion's {was:.3f} (p {p:.2g})"
    remedy = "settle more labels as none of these, or train with more labels in scope"
    return [_guard("out_of_scope", [p], measured=measured, needed=needed, remedy=remedy, policy=policy, cases=count)]


def judge_fairness(table: SliceCounts, evidence: Evidence, policy: GatePolicy) -> list[GateResult]:
    """Return whether a segment that is served worse than the others is shown to fall further behind them.

    An exact permutation test of the segment's losses and wins against those of the other segments. A segment that loses
    fails the gate; one that gains less than the others leaves it open, for a reviewer to waive by name.

    Args:
        table: ``count_slices``.
        evidence: who waived what.
        policy: the level.
    """
    rows = table.rows("segment")
    if len(rows) < 2:
        return []
    cases, right = table.cases[rows], table.right[rows]
    behind = rows[right / cases < (right.sum() - right) / (cases.sum() - cases)]
    everything = (int(table.losses[rows].sum()), int(table.wins[rows].sum()), int(cases.sum()))
    p = [
        deal_losses(int(table.losses[row]), int(table.wins[row]), int(table.cases[row]), of=everything)
        for row in behind
    ]
    shown = behind[holm(p, policy.guard_alpha)]
    if len(shown):
        return [_describe_gap(table, int(row), p[behind.tolist().index(row)], evidence) for row in shown]
    measured = f"{len(behind)} of {len(rows)} segments behind the others, lowest p {min(p, default=1.0):.2g}"
    needed = f"none shown to fall further behind, p at most {policy.guard_alpha:g}"
    return [GateResult("fairness", "passed", measured, needed, p=min(p, default=None), cases=everything[2])]


def _describe_gap(table: SliceCounts, row: int, p: float, evidence: Evidence) -> GateResult:
    about, cases = table.names[row], int(table.cases[row])
    change = (int(table.wins[row]) - int(table.losses[row])) / cases
    measured, needed = f"{about[1]} {change:+.1%} of {cases} (p {p:.2g})", "no further behind the other segments"
    common = {"slice": about, "p": p, "cases": cases}
    if change >= 0 and (reviewer := evidence.waivers.get(about)):
        return GateResult("fairness", "waived", f"{measured}; waived by {reviewer}", needed, **common)
    remedy = f"label more cases of segment {about[1]} to train on, or look whether its labels are settled rightly"
    if change < 0:
        return GateResult("fairness", "failed", measured, needed, remedy, **common)
    remedy += "; as it loses nothing itself, a reviewer may waive it by name"
    return GateResult("fairness", "undecided", measured, needed, remedy, **common)


def judge_latency(evidence: Evidence, policy: GatePolicy) -> list[GateResult]:
    """Return whether the challenger answers fast enough: by itself, and beside the champion."""
    if evidence.seconds_per_text is None:
        return []
    now, was = evidence.seconds_per_text
    most = min(policy.max_seconds_per_text, policy.max_slowdown * was) if was else policy.max_seconds_per_text
    measured = f"{now * 1000:.2f} ms a text" + (f", the champion {was * 1000:.2f} ms" if was else "")
    needed = f"at most {most * 1000:.2f} ms"
    remedy = "" if now <= most else "train with a smaller encoder or in int8, or raise max_slowdown in gates.yaml"
    return [GateResult("latency", "passed" if now <= most else "failed", measured, needed, remedy)]


def judge_behaviour(evidence: Evidence, policy: GatePolicy) -> list[GateResult]:
    """Return whether tests of behaviour (CheckList; Ribeiro et al., 2020) are shown to fail more often.

    Beside a champion: more often than its own (Fisher's exact test). A first champion: more often than
    ``max_failure_share`` (binomial test).
    """
    from scipy.stats import binom

    if not evidence.behaviour:
        return []
    p, told = [], []
    for name, (cases, after, before) in evidence.behaviour.items():
        first = float(binom.sf(after - 1, cases, policy.max_failure_share)) if before is None else 1.0
        p.append(first if before is None else compare_failures(after, before, cases))
        told.append(f"{name} {after} of {cases}" + ("" if before is None else f", the champion {before}"))
    needed = f"no kind of test shown to fail more often, p at most {policy.guard_alpha:g}"
    remedy = "look at the texts that fail, and label cases like them"
    fewest = min(counts[0] for counts in evidence.behaviour.values())
    return [_guard("behaviour", p, measured="; ".join(told), needed=needed, remedy=remedy, policy=policy, cases=fewest)]


def judge_personal_data(evidence: Evidence) -> GateResult:
    """Return whether label lists and artifacts are free of personal data; names the documents where they are not."""
    needed, found = "no finding of personal data in label lists or artifacts", evidence.personal_data
    if found is None:
        return GateResult("personal_data", "undecided", "not looked for", needed, "judge again: the search did not run")
    if not found:
        return GateResult("personal_data", "passed", "0 findings", needed)
    told = "; ".join(f"{one.count} {one.kind} in {one.document}" for one in found[:_MOST_TOLD])
    more = f"; and in {len(found) - _MOST_TOLD} more" if len(found) > _MOST_TOLD else ""
    measured = f"{sum(one.count for one in found)} findings: {told}{more}"
    remedy = (
        "take it out where it comes from (names of labels, channels or segments), collect or train again, and judge"
    )
    return GateResult("personal_data", "failed", measured, needed, remedy)


def judge_promise(evidence: Evidence, policy: GatePolicy) -> list[GateResult]:
    """Return whether the handoff policy's promise is shown to be broken: exact binomial test on what it would keep.

    Nothing kept breaks no promise.
    """
    if evidence.kept is None:
        return []
    from scipy.stats import binom

    cases, kept, wrong, promised = evidence.kept
    p = float(binom.sf(wrong - 1, kept, promised))
    share = f", {wrong / kept:.1%}" if kept else ""
    measured = f"{wrong} of {kept} kept answers wrong{share}; {kept} of {cases} kept (p {p:.2g})"
    needed = f"more than the promised {promised:.1%} not shown, p at most {policy.guard_alpha:g}"
    remedy = "review more calibrate cases, which the threshold is fitted to, or promise less in handoff.yaml"
    return [_guard("promise", [p], measured=measured, needed=needed, remedy=remedy, policy=policy, cases=cases)]


def judge_parity(evidence: Evidence) -> GateResult:
    """Return whether the model answers the same after it was loaded from the registry."""
    needed = "the same answers after reloading from the registry"
    if evidence.parity is None:
        return GateResult("parity", "undecided", "not checked", needed, "register it again: the check did not run")
    if evidence.parity:
        return GateResult("parity", "passed", "the same answers", needed)
    remedy = "register it again with the locked versions: what was saved is not what was trained"
    return GateResult("parity", "failed", "other answers", needed, remedy)


def _columns(answers: Paired, part: str) -> np.ndarray:
    """Return a column of the challenger and of the champion, (2, n) float64, NaN where null."""
    both = [answers.frame[f"{name}_{part}"].to_numpy() for name in ("challenger", "champion")]
    return np.array(both, dtype=np.float64)


def _guard(
    name: str, p: Sequence[float], *, measured: str, needed: str, remedy: str, policy: GatePolicy, cases: int
) -> GateResult:
    is_worse = bool(holm(p, policy.guard_alpha).any())
    lowest = min(p, default=None)
    return GateResult(
        name, "failed" if is_worse else "passed", measured, needed, remedy if is_worse else "", p=lowest, cases=cases
    )
