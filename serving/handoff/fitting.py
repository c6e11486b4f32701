"""Fit the policy of a release to what it says of calibrate cases, and to what people said of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from labeling.errors import TrainingError
from labeling.vocabulary import NONE_OF_THESE
from serving.handoff.cases import Cases
from serving.handoff.config import Costs, HandoffConfig
from serving.handoff.policy import HandoffPolicy, Rules, find_rules, group_of, label_weights
from serving.handoff.promise import Promise, Tested, describe, find_thresholds
from serving.handoff.risk import RiskModel, expit, fit_level, fit_risk, start_risk
from serving.handoff.signals import fit_sets, measure_signals, read_novelty
from serving.sentiment_path import measure_strain

_FEWEST_TO_SHAPE: Final = 100
"""With fewer cases than this to shape the risk on, all of them test thresholds, and the risk stays 1 - confidence."""


@dataclass(frozen=True)
class Outcomes:
    """What people said of n cases.

    Attributes:
        truth: by task, the label of each in today's taxonomy ("none of these" among them).
        needed: (n,) bool: whether a person was said to be needed.
    """

    truth: Mapping[str, Sequence[str]]
    needed: np.ndarray


def fit_handoff(cases: Cases, outcomes: Outcomes, config: HandoffConfig, *, rng: np.random.Generator) -> HandoffPolicy:
    """Fit a policy that keeps its promise and, among those that do, costs least.

    A part of the cases, drawn by ``rng``, shapes the risk and every cut; thresholds are tested on the others alone, so
    that the promise is owed to nothing that these cases chose.

    Args:
        cases: calibrate cases as the release sees them. They must be drawn at random and have trained nothing.
        outcomes: what people said of them; a message of no label that is kept counts as wrong.
        config: the promise, the costs.
        rng: draws the part, and chance in the band.

    Raises:
        TrainingError: a task that ``config`` names has no answers or no labels here; names it. No task has any.
    """
    tasks = _choose_tasks(cases, outcomes, config)
    wrong = find_wrong(cases, outcomes, tasks, count_needed=config.count_needed)
    order = rng.permutation(len(cases))
    count = int(config.shape_share * len(cases))
    shape = np.sort(order[: count if count >= _FEWEST_TO_SHAPE else 0])
    test = np.setdiff1d(np.arange(len(cases)), shape)
    rules = _fit_rules(cases, outcomes, shape, tasks, config)
    sets = fit_sets({task: _chances(cases, outcomes, task)[shape] for task in tasks}, config.ambiguity_coverage)
    signals = measure_signals(cases, tasks, sets).values
    risk = fit_risk(signals[shape], wrong[shape]) if len(shape) else start_risk()
    log_odds = risk.log_odds(signals)
    level = fit_level(log_odds, wrong)
    eligible = np.array([not rule for rule in find_rules(cases, tasks, rules, config)], dtype=bool)
    scores = expit(log_odds) * label_weights(cases, tasks[0], config)
    tested = Tested(scores, wrong, eligible, rng.random(len(cases))).take(test)
    groups = [group_of(cases, tasks[0], config)[row] for row in test]
    prices = _Prices.of(cases, tasks[0], config.costs, level.risk(log_odds)).take(test) if config.costs else None
    promise, by_group = _fit_promises(tested, groups, config, prices)
    return HandoffPolicy(
        config=config,
        tasks=tasks,
        rules=rules,
        sets=sets,
        risk=_with_usual(risk, signals),
        level=level,
        promise=promise,
        groups=by_group,
    )


def find_wrong(cases: Cases, outcomes: Outcomes, tasks: Sequence[str], *, count_needed: bool) -> np.ndarray:
    """Return which cases have a wrong answer to one of ``tasks`` in today's labels, (n,) bool.

    With ``count_needed`` also those in which a person was said to be needed.
    """
    wrong = outcomes.needed.copy() if count_needed else np.zeros(len(cases), dtype=bool)
    for task in tasks:
        said = np.array(cases.answers[task].today(), dtype=object)
        wrong |= said != np.array(list(outcomes.truth[task]), dtype=object)
    return wrong


@dataclass(frozen=True)
class _Prices:
    """What keeping each case is expected to cost, and what handing it off, (n,) each."""

    keeping: np.ndarray
    handoff: np.ndarray

    @classmethod
    def of(cls, cases: Cases, task: str, costs: Costs, risks: np.ndarray) -> "_Prices":
        pairs = np.array([costs.of(label) for label in cases.answers[task].labels]).reshape(-1, 2)
        return cls(pairs[:, 0] * risks, pairs[:, 1])

    def take(self, rows: np.ndarray) -> "_Prices":
        return _Prices(self.keeping[rows], self.handoff[rows])

    def total(self, kept: np.ndarray) -> float:
        return float(np.where(kept, self.keeping, self.handoff).sum())


def _choose_tasks(cases: Cases, outcomes: Outcomes, config: HandoffConfig) -> tuple[str, ...]:
    known = [task for task in cases.answers if task in outcomes.truth]
    tasks = config.tasks or tuple(known)[:1]
    missing = [task for task in tasks if task not in known]
    if missing or not tasks:
        raise TrainingError(
            f"handoff needs calibrate answers for {', '.join(missing) or 'a task'}, "
            f"found {', '.join(known) or 'none'}: change tasks in configs/handoff.yaml, or train a model for it"
        )
    return tasks


def _chances(cases: Cases, outcomes: Outcomes, task: str) -> np.ndarray:
    """Return the probability that each case's true label was given, (n,); 0 where the model does not know it."""
    scores = cases.answers[task].scores
    place = {label: column for column, label in enumerate(scores.labels)}
    columns = np.array([place.get(label, -1) for label in outcomes.truth[task]], dtype=int)
    found = scores.probabilities[np.arange(len(columns)), columns].astype(np.float64)
    return np.where(columns >= 0, found, 0.0)


def _fit_rules(
    cases: Cases, outcomes: Outcomes, shape: np.ndarray, tasks: Sequence[str], config: HandoffConfig
) -> Rules:
    """Return the cuts whose false-alarm rate is what ``config`` says (split conformal)."""
    strain = np.array([measure_strain(scores) for scores in cases.mood_scores()])
    calm = shape[~outcomes.needed[shape]]
    alarm = find_cut(strain[calm], config.sentiment.false_alarm_rate) if config.sentiment and any(cases.moods) else None
    novelty = {}
    for task in tasks:
        inside = np.array([label != NONE_OF_THESE for label in outcomes.truth[task]], dtype=bool)
        novel = read_novelty(cases.answers[task])[inside]  # the cut decides nothing: use all
        cut = find_cut(novel, config.out_of_scope_rate)
        if cut is not None and cases.answers[task].scores.novelty is not None:
            novelty[task] = cut
    return Rules(alarm=alarm, novelty=novelty)


def find_cut(values: np.ndarray, rate: float) -> float | None:
    """Return what a new value exceeds with a chance of at most ``rate``; None where there are too few to say."""
    place = int(np.ceil((len(values) + 1) * (1 - rate))) - 1
    return float(np.sort(values)[place]) if 0 <= place < len(values) else None


def _fit_promises(
    tested: Tested, groups: Sequence[str | None], config: HandoffConfig, prices: _Prices | None
) -> tuple[Promise, dict[str, Promise]]:
    """Return the promise of all and that of each group; thresholds of their own share the chance of error."""
    named = np.array([group or "" for group in groups], dtype=object)
    sizes = {str(name): int((named == name).sum()) for name in sorted(set(named)) if name}
    own = [name for name, size in sizes.items() if size >= config.min_group_cases]
    sure = 1 - (1 - config.confidence) / (1 + len(own))
    promise = _fit_promise(tested, config, prices, sure)
    found = {}
    for name in sizes:
        rows = np.flatnonzero(named == name)
        if name in own:
            found[name] = _fit_promise(tested.take(rows), config, prices.take(rows) if prices else None, sure)
        else:
            inherited = describe(tested.take(rows), promise.threshold, None, sure)
            found[name] = inherited.model_copy(update={"own": False})
    return promise, found


def _fit_promise(tested: Tested, config: HandoffConfig, prices: _Prices | None, confidence: float) -> Promise:
    thresholds = find_thresholds(
        tested,
        promised=config.promised_error_share,
        confidence=confidence,
        min_cases=config.min_cases,
        band=config.band,
    )
    if not thresholds:
        return describe(tested, None, None, confidence)
    chosen = thresholds[-1]
    if prices is not None:
        chosen = min(thresholds, key=lambda threshold: prices.total(tested.kept(threshold)))
    return describe(tested, chosen, thresholds[-1], confidence)


def _with_usual(risk: RiskModel, signals: np.ndarray) -> RiskModel:
    """Return the risk with what its signals usually are, over all cases: reasons count from there, decisions do not."""
    if not len(signals):
        return risk
    return risk.model_copy(update={"usual": tuple(float(value) for value in np.median(signals, axis=0))})
