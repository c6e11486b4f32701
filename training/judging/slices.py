"""Harm on slices: a label, language, channel or segment that fares worse, though all cases together may not."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

import numpy as np

from training.judging.answers import Paired
from training.judging.evidence import Evidence
from training.judging.gates import GatePolicy, GateResult, Slice
from training.judging.paired import cases_to_show, holm, mcnemar, power_to_show, smallest_shown

_STEP: Final = 0.005
"""Shares are rounded to this where power hangs on them little, so that it is worked out once for many."""

_LIKELY: Final = 0.9
"""The recall that is hoped for of a label without a single case, to say how many it needs."""


@dataclass(frozen=True)
class SliceCounts:
    """Cases, losses and wins beside the champion, and right answers of the challenger, by slice, each (m,) int."""

    names: list[Slice]
    cases: np.ndarray
    losses: np.ndarray
    wins: np.ndarray
    right: np.ndarray

    def rows(self, name: str) -> np.ndarray:
        """Return the rows of the slices called ``name``."""
        return np.array([row for row, about in enumerate(self.names) if about[0] == name], dtype=np.int64)


def count_slices(answers: Paired) -> SliceCounts:
    """Count by every slice that has a case; cases without a value are in none."""
    lost, won = answers.differences()
    names = [(name, value) for name, values in answers.names.items() for value in values]

    def count(which: np.ndarray) -> np.ndarray:
        parts = [
            np.bincount(places[which & (places >= 0)], minlength=len(answers.names[name]))
            for name, places in answers.places.items()
        ]
        return np.concatenate(parts)

    return SliceCounts(names, count(np.ones_like(lost)), count(lost), count(won), count(answers.right["challenger"]))


def judge_slices(table: SliceCounts, policy: GatePolicy) -> list[GateResult]:
    """Return each slice with shown harm as failed, each that looks harmed as undecided; else one gate that passed.

    Harm is shown where the exact one-sided test says so after Holm's correction over those slices that differ in enough
    cases to show any (Tarone, 1990): how many differ is known without looking at which model is right. A slice with a
    p-value of ``suspect_alpha`` that is not confirmed by it is neither harmed nor cleared.

    Args:
        table: ``count_slices``.
        policy: ``harm_alpha`` and ``suspect_alpha``.
    """
    chances = mcnemar(table.losses, table.wins)
    able = find_able(table.losses + table.wins, policy.harm_alpha)
    shown = np.zeros(len(chances), dtype=bool)
    shown[able] = holm(chances[able], policy.harm_alpha)
    suspect = ~shown & (chances <= policy.suspect_alpha)
    found = [
        _describe_harm(table, int(row), p=float(chances[row]), is_shown=bool(shown[row]), policy=policy)
        for row in np.flatnonzero(shown | suspect)
    ]
    if found:
        return found
    needed = f"no slice worse (Holm at {policy.harm_alpha:g}), none with p at most {policy.suspect_alpha:g}"
    worst = f", lowest p {chances.min():.2g}" if len(chances) else ""
    measured = f"{len(table.names)} slices, {len(able)} with enough differences to show harm{worst}"
    return [GateResult("no_slice_harmed", "passed", measured, needed)]


def find_able(differing: np.ndarray, level: float) -> np.ndarray:
    """Return the rows that could pass a test at ``level`` over the rows returned, were all that differs lost.

    The largest set of which each row's smallest possible p-value, 2 ** -differing, is at most ``level`` over its size.
    """
    smallest = np.sort(0.5 ** differing.astype(np.float64))
    sizes = np.arange(1, len(smallest) + 1)
    fitting = np.flatnonzero(smallest <= level / sizes)
    most = fitting[-1] + 1 if len(fitting) else 0
    return np.flatnonzero(0.5 ** differing.astype(np.float64) <= level / most) if most else np.array([], dtype=np.int64)


def judge_protected(table: SliceCounts, evidence: Evidence, policy: GatePolicy) -> list[GateResult]:
    """Return of each protected slice whether the harm that matters would have been seen there.

    Were its accuracy to fall by ``protected_drop``, the exact test at the strictest level that Holm may ask of it must
    show that with a chance of ``protected_power``, in as many cases as it has, where cases are won as often as
    on all of the test. A label that is new since the champion is judged by ``judge_floors`` instead.

    Args:
        table: ``count_slices``.
        evidence: the task, its new labels, and who waived what.
        policy: what is protected and how well.
    """
    labels = table.rows("label")
    against = round(float(table.wins[labels].sum() / max(1, table.cases[labels].sum())) / _STEP) * _STEP
    level = policy.harm_alpha / max(1, len(table.names))
    had = dict(zip(table.names, table.cases.tolist(), strict=True))
    return [
        _judge_power(named, had.get(named, 0), against=against, level=level, evidence=evidence, policy=policy)
        for named in policy.protected_in(evidence.task)
        if not (named[0] == "label" and named[1] in evidence.new_labels)
    ]


def judge_floors(answers: Paired, slices: Sequence[Slice], evidence: Evidence, policy: GatePolicy) -> list[GateResult]:
    """Return of each slice whether the challenger is shown to be right often enough there, beside nobody.

    For labels that are new since the champion, and for protected slices of a first champion: there is nothing to lose
    against. Where an accuracy below ``floor_recall`` is shown, the gate fails (binomial test at ``guard_alpha``;
    Clopper and Pearson, 1934). Of a protected slice, one above must be shown; of others it is enough that it is seen.

    Args:
        answers: what the models said.
        slices: which.
        evidence: who waived what.
        policy: the floor.
    """
    return [_judge_floor(named, answers, evidence, policy) for named in slices]


def _describe_harm(table: SliceCounts, row: int, *, p: float, is_shown: bool, policy: GatePolicy) -> GateResult:
    about, cases, losses, wins = table.names[row], int(table.cases[row]), int(table.losses[row]), int(table.wins[row])
    drop = (losses - wins) / cases
    measured = f"{losses} losses, {wins} wins of {cases} ({-drop:+.0%}, p {p:.2g})"
    needed = f"{about[0]} {about[1]} no worse"
    common = {"slice": about, "p": p, "cases": cases}
    if is_shown:
        remedy = f"look at the lost cases of {about[0]} {about[1]}: wrong labels settled, or too few to train on"
        return GateResult("slice_harmed", "failed", measured, needed, remedy, **common)
    level = policy.harm_alpha / len(table.names)
    lacking = max(1, cases_to_show(round(drop, 2), round(wins / cases, 2), level, policy.protected_power) - cases)
    remedy = f"review about {lacking} test cases more of {about[0]} {about[1]}: it looks worse, and so few cannot tell"
    return GateResult("slice_suspect", "undecided", measured, needed, remedy, lacking=lacking, **common)


def _judge_power(
    about: Slice, cases: int, *, against: float, level: float, evidence: Evidence, policy: GatePolicy
) -> GateResult:
    drop, wanted = policy.protected_drop, policy.protected_power
    power = power_to_show(cases, drop, against, level)
    smallest = smallest_shown(cases, against, level, wanted)
    sees = "no fall at all" if smallest is None else f"a fall of {smallest:.0%}"
    needed = f"would show a fall of {drop:.0%} with {wanted:.0%} power"
    measured = (
        f"{cases} cases of {about[0]} {about[1]} show {sees} with that power (one of {drop:.0%} with {power:.0%})"
    )
    common = {"slice": about, "power": power, "smallest_drop": smallest, "cases": cases}
    if power >= wanted:
        return GateResult("protected_slice", "passed", measured, needed, **common)
    lacking = max(1, cases_to_show(drop, against, level, wanted) - cases)
    return _leave_open("protected_slice", measured, needed, evidence, lacking=lacking, **common)


def _judge_floor(about: Slice, answers: Paired, evidence: Evidence, policy: GatePolicy) -> GateResult:
    from scipy.stats import binom

    names, places = answers.names[about[0]], answers.places[about[0]]
    mine = places == (names.index(about[1]) if about[1] in names else len(names))
    cases, right = int(mine.sum()), int(answers.right["challenger"][mine].sum())
    floor, level = policy.floor_recall, policy.guard_alpha
    is_protected = about in policy.protected_in(evidence.task)
    above, below = float(binom.sf(right - 1, cases, floor)), float(binom.cdf(right, cases, floor))
    measured = f"{right} of {cases} cases of {about[0]} {about[1]} right (p {above:.2g})"
    needed = f"right in more than {floor:.0%}" + (f", shown with p at most {level:g}" if is_protected else "")
    common = {"slice": about, "p": above, "cases": cases}
    if above <= level or (not is_protected and cases and right >= floor * cases):
        return GateResult("floor_recall", "passed", measured, needed, **common)
    if cases and below <= level:
        remedy = f"label more cases of {about[0]} {about[1]} to train on"
        return GateResult("floor_recall", "failed", measured, needed, remedy, **common)
    lacking = _cases_above(floor, right / cases if cases else _LIKELY, level, cases) - cases
    return _leave_open("floor_recall", measured, needed, evidence, lacking=max(1, lacking), **common)


def _leave_open(name: str, measured: str, needed: str, evidence: Evidence, **common: Any) -> GateResult:
    about = common["slice"]
    if reviewer := evidence.waivers.get(about):
        return GateResult(name, "waived", f"{measured}; waived by {reviewer}", needed, **common)
    remedy = (
        f"review about {common['lacking']} test cases more of {about[0]} {about[1]} (a larger audit_share in "
        "selection.yaml brings more), or have a reviewer waive it by name"
    )
    return GateResult(name, "undecided", measured, needed, remedy, **common)


def _cases_above(floor: float, share: float, level: float, had: int) -> int:
    """Return about how many cases show that ``share`` lies above ``floor``; as many again where it does not."""
    from scipy.stats import binom

    counts = np.arange(1, 2000)
    right = np.array([ceil(share * count - 1e-9) for count in counts])
    fitting = np.flatnonzero(binom.sf(right - 1, counts, floor) <= level) if share > floor else []
    return int(counts[fitting[0]]) if len(fitting) else 2 * max(1, had)
