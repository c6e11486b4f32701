"""Policies without a fit, for tests of what stands around them."""

from serving.handoff.config import HandoffConfig
from serving.handoff.policy import HandoffPolicy, Rules
from serving.handoff.promise import Promise
from serving.handoff.risk import Level, start_risk
from serving.handoff.signals import Sets


def config(**changes) -> HandoffConfig:
    settings = {"schema_version": 2, "promised_error_share": 0.2, "confidence": 0.9, "min_cases": 30}
    return HandoffConfig(**(settings | changes))


def promise(threshold: float | None, **changes) -> Promise:
    """Return a promise that keeps scores up to ``threshold``."""
    figures = {"cases": 100, "kept": 50, "wrong": 0, "error_bound": 0.05, "confidence": 0.9}
    return Promise(**({"threshold": threshold, "laxest": threshold} | figures | changes))


def policy_of(*tasks: str, confidence: float = 0.9, **changes) -> HandoffPolicy:
    """Return the policy that keeps every answer of at least ``confidence``; ``changes`` are of its config."""
    return HandoffPolicy(
        config=config(**changes),
        tasks=tasks,
        rules=Rules(),
        sets=Sets(cuts={}),
        risk=start_risk(),
        level=Level(),
        promise=promise(1 - confidence),
    )
