"""Simulated pairs of models whose true difference is known: test cases, answers, and people who read disagreements."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from labeling.vocabulary import NONE_OF_THESE
from training.judging.disagreements import DisagreementSample, plan_sample
from training.judging.evidence import Evidence, FailureCount
from training.judging.gates import GatePolicy, ProtectedSlice

TASK: Final = "intent"
INTENTS: Final = [f"intent_{number:02d}" for number in range(77)]
HARMED: Final = 40
"""The intent that loses half of its cases, where a scenario has one."""

CASES: Final = 3000
ACCURACY: Final = 0.9
_OUTSIDE: Final = 0.03
_SHARES: Final = {
    "language": {"en": 0.6, "de": 0.2, "fr": 0.15, "es": 0.05},
    "channel": {"chat": 0.5, "email": 0.3, "voice": 0.2},
    "segment": {"consumer": 0.7, "business": 0.25, "vulnerable": 0.05},
}
_FRESH: Final = 8000
_ONE_RIGHT: Final = 0.75
_UNANSWERED: Final = 0.05
_KINDS: Final = ("typos", "casing", "names", "politeness", "order numbers")
_TRIED: Final = 200
_FAILS: Final = 0.08


@dataclass(frozen=True)
class Difference:
    """How a challenger differs from its champion: shares of all cases that it wins and loses.

    ``harmed`` is the number of test cases of the intent that loses half of them on top, 0 where none does;
    ``is_protected`` whether gates.yaml names that intent.
    """

    won: float
    lost: float
    harmed: int = 0
    is_protected: bool = False


@dataclass(frozen=True)
class Test:
    """A sealed test with a champion and a reference that answered it: everything but the challenger."""

    frame: pl.DataFrame
    truth: np.ndarray
    right: np.ndarray
    sure: np.ndarray
    novelty: np.ndarray


def protect(policy: GatePolicy, difference: Difference) -> GatePolicy:
    """Return the policy with the commonest intent and the smallest segment protected, and the harmed one if asked."""
    named = [("label", INTENTS[0]), ("segment", "vulnerable")]
    named += [("label", INTENTS[HARMED])] if difference.is_protected else []
    slices = [{"slice": name, "value": value, "task": TASK if name == "label" else None} for name, value in named]
    return policy.model_copy(update={"protected": tuple(ProtectedSlice.model_validate(one) for one in slices)})


def draw_test(rng: np.random.Generator, difference: Difference) -> Test:
    """Draw a sealed test, the answers of a champion, and of a reference that is two points less accurate."""
    names = [*INTENTS, NONE_OF_THESE]
    weights = np.arange(1, len(INTENTS) + 1) ** -0.7
    if difference.harmed:
        weights[HARMED] = 0
    truth = rng.choice(len(INTENTS), size=CASES, p=weights / weights.sum())
    truth[rng.random(CASES) < _OUTSIDE] = len(INTENTS)
    truth[: difference.harmed] = HARMED
    right = rng.random(CASES) < ACCURACY
    was = np.where(right, rng.random(CASES) >= 0.03 / ACCURACY, rng.random(CASES) < 0.01 / (1 - ACCURACY))
    sure = rng.beta(6, 2, size=CASES)
    novelty = rng.normal(size=CASES) + 1.5 * (truth == len(INTENTS))
    about = {
        name: pl.Series(list(shares))[rng.choice(len(shares), size=CASES, p=list(shares.values()))]
        for name, shares in _SHARES.items()
    }
    frame = pl.DataFrame(
        {"interaction_id": pl.Series(range(CASES)).cast(pl.String), "truth": pl.Series(names)[truth], **about}
        | _describe("champion", truth, right, *_vary(sure, novelty, rng))
        | _describe("reference", truth, was, *_vary(sure, novelty, rng))
    )
    return Test(frame, truth, right, sure, novelty)


def draw_right(test: Test, difference: Difference, rng: np.random.Generator) -> np.ndarray:
    """Return which cases a challenger has right that differs from the test's champion as said, (n,) bool."""
    chance = rng.random(CASES)
    now = np.where(test.right, chance >= difference.lost / ACCURACY, chance < difference.won / (1 - ACCURACY))
    harmed = np.arange(CASES) < difference.harmed
    return np.where(harmed, test.right & (chance >= 0.5 / ACCURACY), now)


def describe_answers(test: Test, right: np.ndarray, rng: np.random.Generator) -> pl.DataFrame:
    """Return the answers frame of a challenger that has these cases right."""
    said = _describe("challenger", test.truth, right, *_vary(test.sure, test.novelty, rng))
    return test.frame.hstack([series.alias(name) for name, series in said.items()])


def draw_sample(
    difference: Difference, rng: np.random.Generator, *, alpha: float, policy: GatePolicy
) -> DisagreementSample:
    """Let two models answer fresh traffic and people read a planned sample of what they differ on."""
    share = (difference.won + difference.lost) / _ONE_RIGHT
    differing = int(rng.binomial(_FRESH, share))
    asked = plan_sample(_FRESH, differing, alpha=alpha, gain=policy.smallest_gain, power=policy.gain_power) or 0
    chances = np.array([difference.won, difference.lost, share - difference.won - difference.lost]) / share
    counts = rng.multinomial(asked, [*(chances * (1 - _UNANSWERED)), _UNANSWERED])
    return DisagreementSample(
        _FRESH, differing, asked, challenger=int(counts[0]), champion=int(counts[1]), neither=int(counts[2])
    )


def draw_evidence(difference: Difference, rng: np.random.Generator, *, alpha: float, policy: GatePolicy) -> Evidence:
    """Return what the gates hear beside the answers; but for accuracy the two models are alike."""
    failures = {name: FailureCount(_TRIED, *(int(n) for n in rng.binomial(_TRIED, _FAILS, size=2))) for name in _KINDS}
    seconds = 0.002 * np.exp(rng.normal(0, 0.1, size=2))
    return Evidence(
        task=TASK,
        alpha=alpha,
        disagreements=draw_sample(difference, rng, alpha=alpha / 2, policy=policy),
        seconds_per_text=(float(seconds[0]), float(seconds[1])),
        behaviour=failures,
        personal_data=(),
        parity=True,
    )


def _vary(sure: np.ndarray, novelty: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return what one model makes of the cases: alike in all models, but not the same."""
    return np.clip(sure + rng.normal(0, 0.03, CASES), 0.01, 0.99), novelty + rng.normal(0, 0.3, CASES)


def _describe(
    name: str, truth: np.ndarray, right: np.ndarray, sure: np.ndarray, novelty: np.ndarray
) -> dict[str, pl.Series]:
    """Return a model's columns: as sure of wrong answers as half of right ones, the rest of the chance elsewhere."""
    names = pl.Series([*INTENTS, NONE_OF_THESE])
    confidence = np.where(right, sure, 0.3 + sure / 2)
    chance = np.where(right, confidence, (1 - confidence) / 2)
    return {
        name: names[np.where(right, truth, (truth + 1) % len(names))],
        f"{name}_confidence": pl.Series(confidence),
        f"{name}_truth_chance": pl.Series(chance),
        f"{name}_brier": pl.Series(1.3 * (1 - chance) ** 2),
        f"{name}_novelty": pl.Series(novelty),
    }
