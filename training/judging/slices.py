"""Harm on slices: a label, language, channel or segment that fares worse, though all cases together may not."""

from collections.abc import Sequence
from math import ceil
from typing import Any, Final

import numpy as np
import polars as pl

from training.judging.answers import DIMENSIONS, count_differences
from training.judging.evidence import Evidence
from training.judging.gates import GatePolicy, GateResult, Slice
from training.judging.paired import cases_to_show, holm, mcnemar, power_to_show, smallest_shown

_NAMED: Final = 3
_LIKELY: Final = 0.9
"""The recall that is hoped for of a label without a single case, to say how many it needs."""


def tabulate_slices(answers: pl.DataFrame) -> pl.DataFrame:
    """Count losses and wins beside the champion by slice.

    Args:
        answers: an answers frame with a champion.

    Returns:
        ``slice``, ``value``, ``cases``, ``losses``, ``wins`` and ``right`` (of the challenger), one row a value that
        occurs; cases without a value are in none.
    """
    lost, won = count_differences(answers)
    counted = answers.select(
        "language", "channel", "segment", label="truth", right=pl.col("challenger") == pl.col("truth")
    ).with_columns(lost=pl.Series(lost), won=pl.Series(won))
    counts = {
        "cases": pl.len(),
        "losses": pl.col("lost").sum(),
        "wins": pl.col("won").sum(),
        "right": pl.col("right").sum(),
    }
    parts = [
        counted.group_by(value=pl.col(name)).agg(pl.lit(name).alias("slice"), **counts)
        for name in ("label", *DIMENSIONS)
        if counted[name].null_count() < counted.height
    ]
    columns = pl.col("slice", "value", *counts)
    table = pl.concat(parts).select(columns).filter(pl.col("value").is_not_null()).sort("slice", "value")
    return table.cast(dict.fromkeys(counts, pl.Int64))


def judge_slices(table: pl.DataFrame, policy: GatePolicy) -> list[GateResult]:
    """Return each slice with shown harm as failed, each that looks harmed as undecided; else one gate that passed.

    Harm is shown where the exact one-sided test says so after Holm's correction over those slices that differ in enough
    cases to show any (Tarone, 1990): how many differ is known without looking at which model is right. A slice with a
    p-value of ``suspect_alpha`` that is not confirmed by it is neither harmed nor cleared.

    Args:
        table: ``tabulate_slices``.
        policy: ``harm_alpha`` and ``suspect_alpha``.
    """
    losses, wins = table["losses"].to_numpy(), table["wins"].to_numpy()
    chances = mcnemar(losses, wins)
    able = find_able(losses + wins, policy.harm_alpha)
    shown = np.zeros(len(chances), dtype=bool)
    shown[able] = holm(chances[able], policy.harm_alpha)
    suspect = ~shown & (chances <= policy.suspect_alpha)
    level = policy.harm_alpha / max(1, table.height)
    found = [
        _describe_harm(table.row(int(row), named=True), float(chances[row]), bool(shown[row]), level)
        for row in np.flatnonzero(shown | suspect)
    ]
    if found:
        return found
    needed = f"no slice worse (Holm at {policy.harm_alpha:g}), none with p at most {policy.suspect_alpha:g}"
    worst = f", lowest p {chances.min():.2g}" if len(chances) else ""
    measured = f"{table.height} slices, {len(able)} with enough differences to show harm{worst}"
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


def judge_protected(table: pl.DataFrame, evidence: Evidence, policy: GatePolicy) -> list[GateResult]:
    """Return of each protected slice whether the harm that matters would have been seen there.

    Were its accuracy to fall by ``protected_drop``, the exact test at the strictest level that Holm may ask of it must
    show that with a chance of ``protected_power``, in as many cases as it has, where cases are won as often as
    on all of the test. A label that is new since the champion is judged by ``judge_floors`` instead.

    Args:
        table: ``tabulate_slices``.
        evidence: the task, its new labels, and who waived what.
        policy: what is protected and how well.
    """
    wins, cases = table.filter(slice="label").select(pl.col("wins", "cases").sum()).row(0)
    against = round(wins / max(1, cases), 3)
    level = policy.harm_alpha / max(1, table.height)
    had = {(row[0], row[1]): row[2] for row in table.select("slice", "value", "cases").iter_rows()}
    return [
        _judge_power(named, had.get(named, 0), against=against, level=level, evidence=evidence, policy=policy)
        for named in policy.protected_in(evidence.task)
        if not (named[0] == "label" and named[1] in evidence.new_labels)
    ]


def judge_floors(
    answers: pl.DataFrame, slices: Sequence[Slice], evidence: Evidence, policy: GatePolicy
) -> list[GateResult]:
    """Return of each slice whether the challenger is shown to be right often enough there, beside nobody.

    For labels that are new since the champion, and for protected slices of a first champion: there is nothing to lose
    against. The binomial test (Clopper and Pearson, 1934) at ``guard_alpha`` must show an accuracy above
    ``floor_recall``; where it shows one below, the gate fails.

    Args:
        answers: an answers frame.
        slices: which.
        evidence: who waived what.
        policy: the floor.
    """
    return [_judge_floor(named, answers, evidence, policy) for named in slices]


def _describe_harm(row: dict, p: float, is_shown: bool, level: float) -> GateResult:
    about, cases = (row["slice"], row["value"]), row["cases"]
    drop, against = (row["losses"] - row["wins"]) / cases, row["wins"] / cases
    measured = f"{row['losses']} losses, {row['wins']} wins of {cases} ({-drop:+.0%}, p {p:.2g})"
    needed = f"{about[0]} {about[1]} no worse"
    common = {"slice": about, "p": p, "cases": cases}
    if is_shown:
        remedy = f"look at the lost cases of {about[0]} {about[1]}: wrong labels settled, or too few to train on"
        return GateResult("slice_harmed", "failed", measured, needed, remedy, **common)
    lacking = max(1, cases_to_show(round(drop, 2), round(against, 2), level, 0.8) - cases)
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


def _judge_floor(about: Slice, answers: pl.DataFrame, evidence: Evidence, policy: GatePolicy) -> GateResult:
    from scipy.stats import binom

    column = "truth" if about[0] == "label" else about[0]
    mine = answers.filter(pl.col(column) == about[1])
    cases, right = mine.height, int((mine["challenger"] == mine["truth"]).sum())
    floor, level = policy.floor_recall, policy.guard_alpha
    above, below = float(binom.sf(right - 1, cases, floor)), float(binom.cdf(right, cases, floor))
    measured = f"{right} of {cases} cases of {about[0]} {about[1]} right (p {above:.2g})"
    needed = f"shown to be right in more than {floor:.0%}, p at most {level:g}"
    common = {"slice": about, "p": above, "cases": cases}
    if above <= level:
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
