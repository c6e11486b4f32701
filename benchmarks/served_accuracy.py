"""Does the 95% interval of accuracy as served hold the truth, and how much narrower do predictions make it?

Protocol, fixed before the run; company and estimator were developed on seeds from 10,000 on. Each simulation is one
company's 24 weeks of 500 messages: 24 intents as Gaussian clouds in 16 dimensions, one channel of three noisier, six
intents that appear only from week 8 on, shares of intents that drift week by week, clouds that move, and 10% of
messages that lie between two intents. The clouds' spread is such that confidence and margin tell as much of whether an
answer is right as on BANKING77 with frozen features, logistic regression and 300 to 4,000 labels (squared correlation
0.29 to 0.32 there, 0.31 here). A classifier (shared-covariance Gaussian, closed form) is trained on 4 labels an intent,
then again each week on all labels that have come back; its answer and its confidence are what was served. Each week the
40 least sure messages and 10 uniform ones of the open lot are picked; their answers come back one to three weeks later
(the backlog). A conversation (one to a few messages, of one intent more often than not) is in the audit lot by chance;
of its messages exactly 400 are answered, more in some weeks than in others (an audit case's odds of an answer fall from
0.9 to 0.3 as an intent surges and people are busy, and in the last weeks), none of the rest. The truth is the share of
right answers of all 12,000 messages as they were served. The last champion's answers and the labels of picked cases lie
in the tables as well.

1,000 simulations (seeds 2000 to 2999). This is the second run: the first (seeds 0 to 549, then stopped) covered 94.9%
(92.7 to 96.5) at 0.853 of the audit cases' width; it took the mean of the predictions for estimated from a sample,
though of a window's own answers it is known. That was mended in the estimator, on development seeds, and its folds went
from ten to twenty; the companies are as they were. 50 of the seeds from 1000 on were looked at in between.

Compared with the interval that cxloop states (prediction-powered): Wilson's of the audit cases alone, as stated by
cxloop; the plain share of right answers among the picked cases (naive); all answered cases weighted by budget shares,
as if a pick's chance were its reason's budget by the open messages of the week (share-weighted Horvitz–Thompson), with
its usual interval; and the audit cases with no weight by week. Coverage is given with its Wilson interval, the width's
ratio with a bootstrap over simulations.

    python -m benchmarks.served_accuracy --data ../shared/data
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import polars as pl

from benchmarks.harness.results import Figure, SeedResults, write_result
from labeling import tables as t
from training.judging.production import ServedAccuracy, add_chances, estimate_accuracy
from training.judging.served import Window, served_answers

_WEEKS: Final = 24
_MESSAGES: Final = 500
_INTENTS: Final = 24
_LATE_INTENTS: Final = 6
_LATE_FROM: Final = 8
_DIMENSIONS: Final = 16
_UNSURE_A_WEEK: Final = 40
_UNIFORM_A_WEEK: Final = 10
_AUDIT_SHARE: Final = 0.08
_AUDIT_CASES: Final = 400
_BLOCK: Final = 50
_SIMULATIONS: Final = 1000
_FIRST: Final = 2000
_START: Final = datetime(2026, 1, 5, tzinfo=UTC)
_PROTOCOL: Final = {"version": 3, "weeks": _WEEKS, "messages": _MESSAGES, "cases": _AUDIT_CASES}


def main() -> None:
    """Simulate, block by block of seeds; write the figures when all is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="not used: everything is simulated")
    parser.add_argument("--simulations", type=int, default=_SIMULATIONS)
    parser.add_argument("--first", type=int, default=_FIRST, help="the first seed; development began at 10000")
    arguments = parser.parse_args()
    kept = SeedResults("served_accuracy", _PROTOCOL)
    found: list[dict[str, Any]] = []
    for start in range(arguments.first, arguments.first + arguments.simulations, _BLOCK):
        found += _run_block(kept, range(start, min(start + _BLOCK, arguments.first + arguments.simulations)))
        print(f"{len(found)} of {arguments.simulations} simulations", flush=True)
    figures, peers = summarise(found)
    for name, figure in figures.items():
        print(f"{name}: {figure.value:.4g} ({figure.low:.4g} to {figure.high:.4g}) {figure.unit} {figure.goal}")
    print(peers)
    if (arguments.first, arguments.simulations) == (_FIRST, _SIMULATIONS):
        command = "python -m benchmarks.served_accuracy --data ../shared/data"
        write_result(
            "served_accuracy", command=command, seeds=[_FIRST, _FIRST + _SIMULATIONS - 1], figures=figures, peers=peers
        )
        kept.drop()


def _run_block(kept: SeedResults, seeds: range) -> list[dict[str, Any]]:
    arm = f"{seeds.start} to {seeds.stop - 1}"
    found = kept.find(seeds.start, arm)
    if found is None:
        found = [simulate(seed) for seed in seeds]
        kept.keep(seeds.start, arm, found)
    return found


def simulate(seed: int) -> dict[str, Any]:
    """Play one company and return the truth and what each estimator says: value, low, high."""
    begun = time.process_time()
    company = play_company(np.random.default_rng(seed))
    played = time.process_time()
    told = add_chances(
        served_answers(
            company.predictions,
            company.labels,
            company.interactions,
            task="intent",
            window=Window(_START, _START + timedelta(weeks=_WEEKS)),
        )
    )
    stated = estimate_accuracy(told)
    if not isinstance(stated, ServedAccuracy):
        raise TypeError(f"seed {seed} needs 400 audit cases with errors, found {stated}: change the company")
    right, read, picked, chance = company.right, company.read, company.picked, company.assumed_chance
    used = read | picked
    weights = np.where(read, 1.0, 0.0) / np.maximum(company.answered_share, 1e-9) / _AUDIT_SHARE
    weights = np.where(picked, 1 / chance, weights)[used]
    return {
        "truth": float(right.mean()),
        "first_week": float(right[:_MESSAGES].mean()),
        "last_week": float(right[-_MESSAGES:].mean()),
        "cxloop": [stated.estimate.value, stated.estimate.low, stated.estimate.high],
        "audit_only": [stated.audit_only.value, stated.audit_only.low, stated.audit_only.high],
        "naive": _share(right[picked], np.ones(int(picked.sum()))),
        "share_weighted": _share(right[used], weights),
        "unweighted_audit": _share(right[read], np.ones(int(read.sum()))),
        "seconds": time.process_time() - played,
        "seconds_of_play": played - begun,
    }


def _share(right: np.ndarray, weights: np.ndarray) -> list[float]:
    """Return the weighted share (Hájek's form of Horvitz–Thompson) with its usual 95% interval."""
    value = float(np.average(right, weights=weights))
    error = float(np.sqrt(np.sum((weights * (right - value)) ** 2))) / float(weights.sum())
    return [value, value - 1.96 * error, value + 1.96 * error]


@dataclass(frozen=True)
class Company:
    """Tables as cxloop stores them; (n,) whether each answer was right, read for the estimate, or picked to label.

    ``assumed_chance`` is (n,) what the budget's shares would make of a pick's chance; ``answered_share`` (n,) the share
    of the week's audit cases that got an answer.
    """

    predictions: pl.DataFrame
    labels: pl.DataFrame
    interactions: pl.DataFrame
    right: np.ndarray
    read: np.ndarray
    picked: np.ndarray
    assumed_chance: np.ndarray
    answered_share: np.ndarray


@dataclass(frozen=True)
class _Traffic:
    vectors: np.ndarray
    intents: np.ndarray
    channels: np.ndarray
    conversations: np.ndarray
    weeks: np.ndarray
    busy: np.ndarray


def play_company(rng: np.random.Generator) -> Company:
    """Let the messages come, the classifier answer and learn, and people read."""
    traffic, seeds, seed_intents = _draw_traffic(rng)
    audited = rng.random(traffic.conversations.max() + 1)[traffic.conversations] < _AUDIT_SHARE
    total = _WEEKS * _MESSAGES
    label, confidence, margin = np.zeros(total, dtype=int), np.zeros(total), np.zeros(total)
    later, picked, assumed = np.zeros(total, dtype=int), np.zeros(total, dtype=bool), np.full(total, np.nan)
    back = np.full(total, _WEEKS)
    for week in range(_WEEKS):
        rows = np.flatnonzero(traffic.weeks == week)
        learnt = back <= week
        centres, shares = _train(
            np.r_[seeds, traffic.vectors[learnt]], np.r_[seed_intents, traffic.intents[learnt]]
        )  # fmt: skip
        label[rows], confidence[rows], margin[rows] = _answer(traffic.vectors[rows], centres, shares)
        later[: rows[0]] = _answer(traffic.vectors[: rows[0]], centres, shares)[0]
        opened = rows[~audited[rows]]
        taken = _pick(opened, margin, rng)
        picked[taken] = True
        assumed[taken] = (_UNSURE_A_WEEK + _UNIFORM_A_WEEK) / len(opened)
        back[taken] = week + rng.integers(1, 4, len(taken))
    busy = 0.9 - 0.6 * traffic.busy
    read = _answer_audits(audited, busy[traffic.weeks], rng)
    share = np.array([read[audited & (traffic.weeks == week)].mean() for week in range(_WEEKS)])
    answers = _Answers(label, confidence, margin, later)
    frames = _tables(traffic, answers, audited, read | picked)
    return Company(*frames, label == traffic.intents, read, picked, assumed, share[traffic.weeks])


def _draw_traffic(rng: np.random.Generator) -> tuple[_Traffic, np.ndarray, np.ndarray]:
    """Return the traffic, and four labelled messages of each intent that is known at the start."""
    centres = rng.normal(0, 1, (_INTENTS, _DIMENSIONS)) * 1.3
    early = _INTENTS - _LATE_INTENTS
    seed_intents = np.repeat(np.arange(early), 4)
    seeds = centres[seed_intents] + rng.normal(0, 1, (len(seed_intents), _DIMENSIONS))
    tilt = rng.normal(0, 0.8, _INTENTS)
    parts, surges = [], []
    for week in range(_WEEKS):
        tilt += rng.normal(0, 0.15, _INTENTS)
        centres = centres + rng.normal(0, 0.04, centres.shape)
        surge = rng.random() < 0.25
        boosted = tilt + (rng.random(_INTENTS) < 0.1) * (2.0 if surge else 0.0)
        shares = np.exp(boosted) * (np.arange(_INTENTS) < (early if week < _LATE_FROM else _INTENTS))
        parts.append(_draw_week(centres, shares / shares.sum(), rng))
        surges.append(min(1.0, max(0.0, (0.8 if surge else 0.0) + rng.uniform(0, 0.2) + 0.3 * (week > _WEEKS - 5))))
    vectors, intents, channels, sizes = (np.concatenate(part) for part in zip(*parts, strict=True))
    weeks = np.repeat(np.arange(_WEEKS), _MESSAGES)
    conversations = np.cumsum(sizes) - 1
    return _Traffic(vectors, intents, channels, conversations, weeks, np.array(surges)), seeds, seed_intents


def _draw_week(centres: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Return vectors, intents, channels and where a conversation begins (1, else 0) of one week's messages."""
    begins = np.ones(_MESSAGES, dtype=int)
    begins[1:] = rng.random(_MESSAGES - 1) < 0.75
    intents = rng.choice(_INTENTS, _MESSAGES, p=shares)
    for row in np.flatnonzero((begins == 0) & (rng.random(_MESSAGES) < 0.6)):
        intents[row] = intents[row - 1]
    channels = rng.choice(3, _MESSAGES, p=[0.6, 0.25, 0.15])
    between = rng.random(_MESSAGES) < 0.1
    other = rng.choice(_INTENTS, _MESSAGES, p=shares)
    middle = np.where(between[:, None], (centres[intents] + centres[other]) / 2, centres[intents])
    noise = np.where(channels == 2, 1.25, 1.0)[:, None]
    return middle + noise * rng.normal(0, 1, middle.shape), intents, channels, begins


def _train(vectors: np.ndarray, intents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return centres, shrunken to the middle of all, and log shares of the intents: −inf for one not seen yet."""
    counts = np.bincount(intents, minlength=_INTENTS).astype(float)
    sums = np.zeros((_INTENTS, _DIMENSIONS))
    np.add.at(sums, intents, vectors)
    centres = (sums + vectors.mean(axis=0)) / (counts + 1)[:, None]
    with np.errstate(divide="ignore"):
        return centres, np.log(np.where(counts > 0, counts + 5, 0))


def _answer(vectors: np.ndarray, centres: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the likeliest intent, its probability, and by how much the second's is smaller."""
    odds = vectors @ centres.T - (centres**2).sum(axis=1) / 2 + shares
    odds = np.exp(odds - odds.max(axis=1, keepdims=True, initial=-np.inf))
    chances = odds / odds.sum(axis=1, keepdims=True)
    best = np.partition(chances, -2, axis=1)[:, -2:] if len(chances) else np.zeros((0, 2))
    return chances.argmax(axis=1), best[:, 1], best[:, 1] - best[:, 0]


def _pick(opened: np.ndarray, margin: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    unsure = opened[np.argsort(margin[opened])[:_UNSURE_A_WEEK]]
    return np.r_[unsure, rng.choice(np.setdiff1d(opened, unsure), _UNIFORM_A_WEEK, replace=False)]


def _answer_audits(audited: np.ndarray, chance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return which audit cases were answered: 400, drawn with chances that differ by week (Efraimidis, Spirakis)."""
    keys = np.where(audited, np.log(rng.random(len(audited))) / chance, -np.inf)
    read = np.zeros(len(audited), dtype=bool)
    read[np.argpartition(-keys, _AUDIT_CASES)[:_AUDIT_CASES]] = True
    return read & audited


@dataclass(frozen=True)
class _Answers:
    label: np.ndarray
    confidence: np.ndarray
    margin: np.ndarray
    later: np.ndarray


def _tables(
    traffic: _Traffic, answers: _Answers, audited: np.ndarray, labelled: np.ndarray
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return PREDICTIONS (as served, and what the last champion says), LABELS and INTERACTIONS."""
    total = len(traffic.weeks)
    names = pl.Series("interaction_id", np.arange(total)).cast(pl.String).str.zfill(6)
    at = pl.Series([_START + timedelta(weeks=week) for week in range(_WEEKS)], dtype=t.TIME)[traffic.weeks]
    first = _fill(
        t.PREDICTIONS,
        interaction_id=names,
        label=_named(answers.label),
        confidence=pl.Series(answers.confidence),
        margin=pl.Series(answers.margin),
        model_version=pl.Series(traffic.weeks).cast(pl.String),
        shown=pl.repeat(value=True, n=total, eager=True),
        predicted_at=at,
    )
    last = first.filter(~pl.Series(labelled & audited)).with_columns(
        label=_named(answers.later[~(labelled & audited)]),
        model_version=pl.lit("last"),
        shown=pl.lit(value=False),
        predicted_at=pl.lit(_START + timedelta(weeks=_WEEKS)).cast(t.TIME),
    )
    truth = _fill(t.LABELS, interaction_id=names, label=_named(traffic.intents), source=_all("review", total))
    audit = pl.Series(audited)
    interactions = _fill(
        t.INTERACTIONS,
        interaction_id=names,
        conversation_id=pl.Series(traffic.conversations).cast(pl.String),
        occurred_at=at,
        channel=_named(traffic.channels),
        lot=audit.replace_strict({True: "audit", False: "open"}),
        part=audit.replace_strict({True: "estimate", False: None}, return_dtype=pl.String),
    )
    return pl.concat([first, last]), truth.filter(pl.Series(labelled)), interactions


def _fill(table: t.Table, **columns: pl.Series) -> pl.DataFrame:
    """Return a frame of ``table`` of the task intent; what is not given is null."""
    given = pl.DataFrame(columns)
    given = given.with_columns(task=pl.lit("intent")) if "task" in table.schema else given
    absent = [pl.lit(None, kind).alias(name) for name, kind in table.schema.items() if name not in given.columns]
    return given.with_columns(absent).select(list(table.schema)).cast(pl.Schema(table.schema))


def _named(numbers: np.ndarray) -> pl.Series:
    return pl.Series(numbers).cast(pl.String)


def _all(value: str, count: int) -> pl.Series:
    return pl.repeat(value, count, eager=True)


def summarise(found: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Figure], dict[str, Any]]:
    """Return the figures, and what the peers do."""
    names = ("cxloop", "audit_only", "naive", "share_weighted", "unweighted_audit")
    truth = np.array([one["truth"] for one in found])
    said = {name: np.array([one[name] for one in found]) for name in names}
    covered = {name: (of[:, 1] <= truth) & (truth <= of[:, 2]) for name, of in said.items()}
    width = {name: of[:, 2] - of[:, 1] for name, of in said.items()}
    ratio = _bootstrap_ratio(width["cxloop"], width["audit_only"])
    figures = {
        "coverage": _coverage(covered["cxloop"], "0.93 to 0.97"),
        "coverage_audit_only": _coverage(covered["audit_only"], "0.93 to 0.97"),
        "width_to_audit_only": Figure(*ratio, "ratio", "lower", "at most 0.85"),
        "coverage_naive": _coverage(covered["naive"], "shown to fail"),
        "coverage_share_weighted": _coverage(covered["share_weighted"], "shown to fail"),
        "bias_cxloop": _bias(said["cxloop"], truth),
        "bias_naive": _bias(said["naive"], truth),
        "bias_share_weighted": _bias(said["share_weighted"], truth),
        "bias_unweighted_audit": _bias(said["unweighted_audit"], truth),
    }
    peers = {
        "accuracy": [round(float(truth.mean()), 4), round(float(truth.min()), 4), round(float(truth.max()), 4)],
        "accuracy_first_and_last_week": [
            round(float(np.mean([one[name] for one in found])), 4) for name in ("first_week", "last_week")
        ],
        "width": {name: round(float(of.mean()), 4) for name, of in width.items()},
        "coverage": {name: round(float(of.mean()), 4) for name, of in covered.items()},
        "seconds_an_estimate": round(float(np.mean([one["seconds"] for one in found])), 3),
        "seconds_a_simulation": round(float(np.mean([one["seconds_of_play"] for one in found])), 3),
    }
    return figures, peers


def _coverage(covered: np.ndarray, goal: str) -> Figure:
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(int(covered.sum()), len(covered), method="wilson")
    return Figure(float(covered.mean()), float(low), float(high), "of simulations", "higher", goal)  # pyright: ignore


def _bias(said: np.ndarray, truth: np.ndarray) -> Figure:
    error = said[:, 0] - truth
    margin = 1.96 * float(error.std(ddof=1)) / len(error) ** 0.5
    return Figure(float(error.mean()), float(error.mean()) - margin, float(error.mean()) + margin, "accuracy", "", "")


def _bootstrap_ratio(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float, float]:
    rows = np.random.default_rng(0).integers(0, len(ours), (2000, len(ours)))
    drawn = ours[rows].mean(axis=1) / theirs[rows].mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(ours.mean() / theirs.mean()), float(low), float(high)


if __name__ == "__main__":
    main()
