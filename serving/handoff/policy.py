"""The fitted policy of a release: one decision for each conversation, with its reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from pydantic import Field

from labeling.config import Config
from labeling.vocabulary import NONE_OF_THESE
from serving.handoff.cases import Answers, Cases
from serving.handoff.config import ALARM, WISH, HandoffConfig, SentimentSettings
from serving.handoff.decisions import (
    CHANCE,
    EMPTY_TEXT,
    HIGH_RISK,
    NO_GUARANTEE,
    Decision,
    Reason,
    explain,
    read_code,
)
from serving.handoff.promise import Promise, in_band
from serving.handoff.risk import Level, RiskModel, expit
from serving.handoff.signals import SIGNALS, Sets, Signals, measure_signals, read_novelty
from serving.sentiment_path import measure_strain

_WORTH_TELLING: Final = 0.1
"""A signal is a reason where it has at least this share of the log odds above the usual."""


class Rules(Config):
    """What hands off whatever the risk, and the cuts that it goes by.

    Attributes:
        alarm: the strain (``measure_strain``) above which the sentiment alarm is raised; None raises none.
        novelty: by task, the novelty above which a message counts as out of scope; a task without tells none.
    """

    alarm: float | None = None
    novelty: dict[str, float] = Field(default_factory=dict)


class HandoffPolicy(Config):
    """A fitted policy: part of the release that it was fitted for, because confidences differ between models.

    Attributes:
        config: what was asked for.
        tasks: those that must be right.
        rules: what hands off whatever the risk.
        sets: the sets of likely answers.
        risk: how the signals are combined.
        level: turns its log odds into the risk that calibrate cases show.
        promise: the threshold of all, in terms of scores: risks before ``level``, times the weight of the label.
        groups: those of calibrate cases, by name.
    """

    schema_version: Literal[2] = 2
    config: HandoffConfig
    tasks: tuple[str, ...] = Field(min_length=1)
    rules: Rules
    sets: Sets
    risk: RiskModel
    level: Level
    promise: Promise
    groups: dict[str, Promise] = Field(default_factory=dict)

    @property
    def sentiment(self) -> SentimentSettings | None:
        """How mood is followed, None where it is not."""
        return self.config.sentiment

    def decide(self, cases: Cases, rng: np.random.Generator | None = None) -> list[Decision]:
        """Decide for each case whether a person should answer.

        Args:
            cases: n of them; tasks that the policy does not know never hand off, except by a label of high risk.
            rng: the source of chance in the band; without one the threshold alone decides.

        Returns:
            n decisions, in order. Raising any signal never turns a handoff into a kept answer.
        """
        weighed = self._weigh(cases)
        decided = []
        for row, rule in enumerate(find_rules(cases, self.tasks, self.rules, self.config)):
            risk, score, threshold = float(weighed.risks[row]), float(weighed.scores[row]), weighed.thresholds[row]
            limit = self._limit(threshold, weighed.weights[row])
            if rule:
                decided.append(Decision(True, (read_code(rule),), risk, limit))
                continue
            handoff, propensity = self._draw(score, threshold, rng)
            by_chance = handoff and threshold is not None and score <= threshold
            reasons = self._explain(weighed, row, by_chance=by_chance) if handoff else ()
            decided.append(Decision(handoff, reasons, risk, limit, propensity))
        return decided

    def keeps(self, cases: Cases) -> np.ndarray:
        """Return which cases the threshold alone would keep, (n,) bool: ``decide`` without chance, for many cases."""
        weighed, ruled = self._weigh(cases), find_rules(cases, self.tasks, self.rules, self.config)
        thresholds = np.array([-1.0 if limit is None else limit for limit in weighed.thresholds])
        return (weighed.scores <= thresholds) & np.array([not rule for rule in ruled], dtype=bool)

    def risks(self, cases: Cases) -> np.ndarray:
        """Return how likely each answer would be wrong if it were kept, (n,)."""
        return self._weigh(cases).risks

    def scores(self, cases: Cases) -> np.ndarray:
        """Return what thresholds are set against, (n,) in [0, 1]: risks before ``level``, times the label's weight."""
        return self._weigh(cases).scores

    def explain_risk(self, cases: Cases) -> np.ndarray:
        """Return how much each of ``SIGNALS`` adds to the usual log odds of each case, (n, signals)."""
        return self._weigh(cases).added

    def out_of_scope(self, cases: Cases) -> np.ndarray:
        """Return which messages are about nothing that the policy's tasks know, (n,) bool."""
        outside = np.zeros(len(cases), dtype=bool)
        for task in self.tasks:
            if task in cases.answers:
                said = cases.answers[task]
                outside |= np.array([label == NONE_OF_THESE for label in said.labels], dtype=bool)
                outside |= read_novelty(said) > self.rules.novelty.get(task, np.inf)
        return outside

    def alarms(self, cases: Cases) -> np.ndarray:
        """Return in which conversations the sentiment alarm is raised, (n,) bool."""
        return find_alarms(cases, self.rules)

    def tell(self) -> str:
        """Return when the release steps aside, in a sentence."""
        if self._limit(self.promise.threshold, 1.0) is None:
            return "It steps aside at every message."
        told = f"{100 * self._level_of(self.promise.threshold or 0):.0f}%"
        own = sum(found.own for found in self.groups.values())
        groups = f"; {own} of {len(self.groups)} groups have thresholds of their own" if self.groups else ""
        promised, sure = self.config.promised_error_share, self.config.confidence
        return (
            f"It steps aside where an answer ({', '.join(self.tasks)}) is wrong with a chance above {told}{groups}. "
            f"Promised: at most {promised:.0%} of the kept answers are wrong, with {sure:.0%} confidence."
        )

    def figures(self) -> Mapping[str, str]:
        """Return what was fitted, by name."""
        fitted = {name: str(value) for name, value in self.promise}
        return fitted | {f"{group}.{name}": str(value) for group, found in self.groups.items() for name, value in found}

    def _weigh(self, cases: Cases) -> "_Weighed":
        signals = measure_signals(cases, self.tasks, self.sets)
        log_odds = self.risk.log_odds(signals.values)
        weights = label_weights(cases, self.tasks[0], self.config)
        groups = [self.groups.get(group or "") for group in group_of(cases, self.tasks[0], self.config)]
        return _Weighed(
            signals=signals,
            added=self.risk.contributions(signals.values),
            risks=self.level.risk(log_odds),
            weights=weights,
            scores=expit(log_odds) * weights,
            thresholds=[(found if found and found.own else self.promise).threshold for found in groups],
        )

    def _limit(self, threshold: float | None, weight: float) -> float | None:
        """Return the largest risk that is kept of a label of that weight."""
        if threshold is None:
            return None
        return self._level_of(threshold / weight)

    def _level_of(self, risk: float) -> float:
        if risk >= 1:
            return 1.0
        return float(self.level.risk(np.log(np.array([risk]) / (1 - risk)))[0])

    def _draw(self, score: float, threshold: float | None, rng: np.random.Generator | None) -> tuple[bool, float]:
        """Return whether to hand off, and how likely that was."""
        if threshold is None:
            return True, 1.0
        handoff, band = bool(score > threshold), self.config.band
        if rng is None or not band.width or not in_band(np.array([score]), threshold, band)[0]:
            return handoff, 1.0
        if rng.random() < band.flip:
            return not handoff, band.flip
        return handoff, 1 - band.flip

    def _explain(self, weighed: "_Weighed", row: int, *, by_chance: bool) -> tuple[Reason, ...]:
        """Return the signals that made a handoff, the strongest first."""
        if weighed.thresholds[row] is None:
            return (explain(NO_GUARANTEE),)
        if by_chance:
            return (explain(CHANCE),)
        above = np.maximum(weighed.added[row], 0)
        shares = above / above.sum() if above.sum() > 0 else np.eye(len(SIGNALS))[0]
        told = [place for place in np.argsort(-shares, kind="stable") if shares[place] >= _WORTH_TELLING]
        return tuple(
            explain(SIGNALS[place], weighed.signals.task_of(SIGNALS[place], row), round(float(shares[place]), 3))
            for place in told
        )


@dataclass(frozen=True)
class _Weighed:
    """What the policy makes of n cases: of each its signals, what they add, its risk, weight, score and threshold."""

    signals: Signals
    added: np.ndarray
    risks: np.ndarray
    weights: np.ndarray
    scores: np.ndarray
    thresholds: list[float | None]


def find_rules(cases: Cases, tasks: Sequence[str], rules: Rules, config: HandoffConfig) -> list[str]:
    """Return for each case the code of the rule that hands it off whatever its risk, "" where none does."""
    alarms = find_alarms(cases, rules)
    return [_find_rule(row, cases, tasks, config, alarm=bool(alarms[row])) for row in range(len(cases))]


def find_alarms(cases: Cases, rules: Rules) -> np.ndarray:
    """Return in which conversations the sentiment alarm is raised, (n,) bool."""
    if rules.alarm is None:
        return np.zeros(len(cases), dtype=bool)
    return np.array([measure_strain(scores) > rules.alarm for scores in cases.mood_scores()], dtype=bool)


def _find_rule(row: int, cases: Cases, tasks: Sequence[str], config: HandoffConfig, *, alarm: bool) -> str:
    if not cases.texts[row].strip():
        return EMPTY_TEXT
    for task, said in cases.answers.items():
        if said.labels[row] in config.high_risk_labels:
            return f"{HIGH_RISK}:{task}"
    for task in tasks:
        if task in cases.answers and cases.answers[task].labels[row] == NONE_OF_THESE:
            return f"{NONE_OF_THESE}:{task}"
    if cases.changed[row]:
        return cases.changed[row]
    if WISH in config.always and cases.wishes[row]:
        return WISH
    return ALARM if ALARM in config.always and alarm else ""


def label_weights(cases: Cases, task: str, config: HandoffConfig) -> np.ndarray:
    """Return how much each case's risk weighs, (n,) in (0, 1]: 1 for the label whose mistakes cost most.

    What a wrong answer costs beside a handoff, as a share of the largest such ratio: where by-label costs differ, a
    dear label is kept at a smaller risk only.
    """
    if config.costs is None or not config.costs.by_label or task not in cases.answers:
        return np.ones(len(cases))
    usual = config.costs.wrong_kept / config.costs.handoff
    ratios = {label: wrong / handoff for label in config.costs.by_label for wrong, handoff in [config.costs.of(label)]}
    most = max(usual, *ratios.values())
    return np.array([ratios.get(label, usual) / most for label in cases.answers[task].labels])


def group_of(cases: Cases, task: str, config: HandoffConfig) -> list[str | None]:
    """Return the group of each case, None where it has none."""
    if not config.group_by:
        return [None] * len(cases)
    if config.group_by != "label":
        return list(cases.groups[config.group_by])
    answers: Answers | None = cases.answers.get(task)
    return list(answers.labels) if answers else [None] * len(cases)
