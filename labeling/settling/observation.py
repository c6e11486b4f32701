"""Corrections and silence as evidence: an agent corrects only what was opened, and only errors that are noticed.

For a message that somebody opened, with ``c`` the model's calibrated confidence in what it showed: the answer is right
with ``c`` and is then corrected with the false-alarm rate; it is wrong with 1 - ``c`` and is then corrected with the
notice rate of the true intent, to the truth with the agent's accuracy. Bayes' rule gives what a correction, or silence,
says. Silence is never agreement: where nobody notices anything, it says nothing at all.

Rates come from audit cases alone, because only those are reviewed whatever was corrected. A review can be wrong too,
so an apparent error that a sure model made and nobody corrected counts for less (a small expectation-maximisation).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import polars as pl

from labeling.settling.shrinking import shrink_shares

NOTICE_PRIOR: Final = (2.0, 2.0)
FALSE_ALARM_PRIOR: Final = (0.2, 9.8)
ACCURACY_PRIOR: Final = (8.0, 2.0)
"""Hits and misses before any audit case: half of the errors are noticed, one right answer in fifty is corrected,
eight corrections of errors in ten give the truth."""
SURENESS_UNKNOWN: Final = 0.8
"""The model's confidence where it is not known what it said."""

ERRORS_NEEDED: Final = 10.0
"""Silence becomes a label only where at least so many errors of opened audit cases tell how often one is noticed."""
USABLE_FROM: Final = 0.8
"""... and where its posterior is at least this."""

_ROUNDS: Final = 25
_CELL: Final = 5.0


@dataclass(frozen=True)
class Rates:
    """How agents of one task behave, all in (0, 1).

    ``notice`` by true label, ``accuracy`` and ``meddling`` by agent; the ``any_`` ones are for those of whom nothing
    is known. ``meddling`` is the odds that a correction was of a right answer, against those of all agents.
    ``mistaken`` (shown → true → probability) says what is true where the model is wrong. ``errors`` is the number of
    errors (expected, so not whole) that ``notice`` rests on.
    """

    labels: tuple[str, ...]
    any_notice: float
    false_alarm: float
    any_accuracy: float
    errors: float
    mistaken: np.ndarray
    notice: np.ndarray
    accuracy: Mapping[str, float] = field(default_factory=dict)
    meddling: Mapping[str, float] = field(default_factory=dict)


def measure_rates(seen: pl.DataFrame, reviewed: pl.DataFrame, *, labels: tuple[str, ...]) -> Rates:
    """Measure notice, false-alarm and accuracy rates of one task on the audit cases that were opened and reviewed.

    Args:
        seen: of ``gather_seen``, rows of one task.
        reviewed: ``interaction_id``, ``label`` and ``confidence`` of what reviews of that task settled to.
        labels: every label that the task can have (>= 2).
    """
    truth = reviewed.select("interaction_id", truth="label", trust="confidence")
    audit = seen.filter((pl.col("lot") == "audit") & pl.col("shown").is_in(labels)).join(truth, on="interaction_id")
    audit = audit.filter(pl.col("truth").is_in(labels)).sort("interaction_id")
    place = {name: number for number, name in enumerate(labels)}
    shown = audit["shown"].replace_strict(place, return_dtype=pl.Int64).to_numpy()
    true = audit["truth"].replace_strict(place, return_dtype=pl.Int64).to_numpy()
    corrected = audit["given"].is_not_null().to_numpy()
    record = audit["on_record"].to_numpy()
    before = _doubt(audit, shown != true, len(labels))
    notice, any_notice = shrink_shares(np.zeros(len(labels)), np.zeros(len(labels)), right=2.0, wrong=2.0)
    false_alarm, wrong = FALSE_ALARM_PRIOR[0] / sum(FALSE_ALARM_PRIOR), before
    for _ in range(_ROUNDS):
        wrong = _weigh_errors(before, corrected, notice[true], false_alarm)
        tries = np.bincount(true, wrong * record, minlength=len(labels))
        hits = np.bincount(true, wrong * record * corrected, minlength=len(labels))
        notice, any_notice = shrink_shares(hits, tries, right=NOTICE_PRIOR[0], wrong=NOTICE_PRIOR[1])
        right = (1 - wrong) * record
        false_alarm = (float(right @ corrected) + FALSE_ALARM_PRIOR[0]) / (float(right.sum()) + sum(FALSE_ALARM_PRIOR))
    made = audit.with_columns(wrong=pl.Series(wrong, dtype=pl.Float64)).filter(pl.col("given").is_not_null())
    accuracy, any_accuracy = _accuracy_by_agent(made)
    return Rates(
        labels=labels,
        any_notice=any_notice,
        false_alarm=false_alarm,
        any_accuracy=any_accuracy,
        errors=float((wrong * record).sum()),
        mistaken=_spread_mistakes(shown, true, wrong, len(labels)),
        notice=notice,
        accuracy=accuracy,
        meddling=_meddling_by_agent(made),
    )


def settle_seen(seen: pl.DataFrame, rates: Rates) -> pl.DataFrame:
    """Return ``label`` and ``confidence`` of each row of ``seen``: of its correction, or of silence (what was shown).

    Where a sure model is corrected by an agent who often corrects right answers, what was shown can stay the likelier.

    Args:
        seen: of ``gather_seen``, rows of one task whose ``shown`` and ``given`` are labels of the task or null.
        rates: of that task.

    Returns:
        ``seen`` with ``label`` and ``confidence`` in (0, 1); the confidence of silence is null where what was shown is
        unknown.
    """
    count = len(rates.labels)
    place = {name: number for number, name in enumerate(rates.labels)}
    shown = seen["shown"].replace_strict(place, default=-1, return_dtype=pl.Int64).to_numpy()
    given = seen["given"].replace_strict(place, default=-1, return_dtype=pl.Int64).to_numpy()
    sure = np.clip(seen["sureness"].fill_null(SURENESS_UNKNOWN).to_numpy(), 1e-3, 1 - 1e-3)
    agents = seen["agent_id"].to_list()
    accuracy = np.array([rates.accuracy.get(agent or "", rates.any_accuracy) for agent in agents])
    meddling = np.array([rates.meddling.get(agent or "", 1.0) for agent in agents])
    mistaken = np.where((shown >= 0)[:, None], rates.mistaken[shown], 1 / count)
    noticed = mistaken * rates.notice
    silent = sure * (1 - rates.false_alarm)
    silent = silent / (silent + (1 - sure) * (mistaken.sum(axis=1) - noticed.sum(axis=1)))
    rows = np.arange(len(given))
    to_truth = (1 - sure) * noticed[rows, given] * accuracy
    elsewhere = (1 - sure) * (noticed.sum(axis=1) - noticed[rows, given]) * (1 - accuracy) / max(1, count - 2)
    meddled = sure * rates.false_alarm * meddling / (count - 1)
    kept = sure * accuracy / (sure * accuracy + (1 - sure) * (1 - accuracy))
    corrected = np.where(given == shown, kept, to_truth / np.clip(to_truth + elsewhere + meddled, 1e-12, None))
    kept_shown = meddled / np.clip(to_truth + elsewhere + meddled, 1e-12, None)
    is_given = given >= 0
    overruled = is_given & (given != shown) & (shown >= 0) & (kept_shown > corrected)
    confidence = pl.Series(np.where(is_given, np.where(overruled, kept_shown, corrected), silent), dtype=pl.Float64)
    known = pl.Series(is_given | (shown >= 0))
    return seen.with_columns(
        label=pl.when(pl.Series(overruled)).then("shown").otherwise(pl.coalesce("given", "shown")),
        confidence=pl.when(known).then(confidence),
    )


def usable_silence(settled: pl.DataFrame, rates: Rates) -> pl.DataFrame:
    """Return the silent rows of ``settle_seen`` that may stand as labels of source silence."""
    if rates.errors < ERRORS_NEEDED:
        return settled.clear()
    told = pl.col("given").is_null() & pl.col("was_shown") & pl.col("on_record")
    return settled.filter(told & (pl.col("confidence") >= USABLE_FROM))


def _doubt(audit: pl.DataFrame, differs: np.ndarray, labels: int) -> np.ndarray:
    """Return the probability that the model was wrong, given its confidence and the review, before any correction."""
    sure = np.clip(audit["sureness"].fill_null(SURENESS_UNKNOWN).to_numpy(), 1e-3, 1 - 1e-3)
    trust = np.clip(audit["trust"].to_numpy(), 1e-3, 1 - 1e-3)
    wrong = np.where(differs, (1 - sure) * trust, (1 - sure) * (1 - trust)) / (labels - 1)
    right = np.where(differs, sure * (1 - trust) / (labels - 1), sure * trust)
    return wrong / (wrong + right)


def _weigh_errors(before: np.ndarray, corrected: np.ndarray, notice: np.ndarray, false_alarm: float) -> np.ndarray:
    wrong = before * np.where(corrected, notice, 1 - notice)
    right = (1 - before) * np.where(corrected, false_alarm, 1 - false_alarm)
    return wrong / (wrong + right)


def _accuracy_by_agent(made: pl.DataFrame) -> tuple[dict[str, float], float]:
    """Return how often each agent's correction of an error gives the truth, freed from the reviews' own errors."""
    agrees = (pl.col("given") == pl.col("truth")).cast(pl.Float64) / pl.col("trust").clip(0.5, 1.0)
    counts = made.group_by("agent_id").agg(hits=(pl.col("wrong") * agrees).sum(), tries=pl.col("wrong").sum())
    return _by_agent(counts, *ACCURACY_PRIOR)


def _meddling_by_agent(made: pl.DataFrame) -> dict[str, float]:
    """Return each agent's odds of correcting a right answer, against those of all agents."""
    counts = made.group_by("agent_id").agg(hits=(1 - pl.col("wrong")).sum(), tries=pl.len().cast(pl.Float64))
    shares, mean = _by_agent(counts, 1.0, 4.0)
    return {agent: share / (1 - share) / (mean / (1 - mean)) for agent, share in shares.items()}


def _by_agent(counts: pl.DataFrame, right: float, wrong: float) -> tuple[dict[str, float], float]:
    ordered = counts.with_columns(pl.col("agent_id").fill_null("")).sort("agent_id")
    hits = np.minimum(ordered["hits"].to_numpy(), ordered["tries"].to_numpy())
    shares, mean = shrink_shares(hits, ordered["tries"].to_numpy(), right=right, wrong=wrong)
    return dict(zip(ordered["agent_id"], np.clip(shares, 0.01, 0.99).tolist(), strict=True)), mean


def _spread_mistakes(shown: np.ndarray, true: np.ndarray, wrong: np.ndarray, labels: int) -> np.ndarray:
    """Return what is true where the model is wrong, (shown, true), rows summing to 1: drawn to what is often true."""
    seen = np.zeros((labels, labels))
    np.add.at(seen, (shown, true), wrong)
    often = np.repeat((seen.sum(axis=0) + 1.0)[None, :], labels, axis=0)
    for matrix in (seen, often):
        np.fill_diagonal(matrix, 0.0)
    drawn = seen + _CELL * often / often.sum(axis=1, keepdims=True)
    return drawn / drawn.sum(axis=1, keepdims=True)
