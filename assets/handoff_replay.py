"""What another handoff policy would have changed on recent messages."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from assets.handoff import ReviewedCases, read_conversations
from assets.resources import Loop
from labeling import tables as t
from serving.handoff.cases import Cases
from serving.handoff.fitting import find_wrong
from serving.handoff.policy import HandoffPolicy
from serving.reading import Reader
from serving.release import Policy

_MOST: Final = 5_000
"""Of more messages so many are drawn, and what they show is scaled up."""

_FEWEST: Final = 30
"""With fewer reviewed cases than this nothing corrects the policy's own risks."""

_SURE: Final = 1.96


@dataclass(frozen=True)
class Difference:
    """An estimate with its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Replayed:
    """What the new policy would have changed.

    Attributes:
        messages: how many there were; ``read`` of them were answered anew.
        handoffs: how many more it would have handed off.
        wrong: how many fewer wrong answers it would have kept.
        reviewed: how many reviewed cases correct that; 0 where it rests on the policy's own risks alone.
    """

    messages: int
    read: int
    handoffs: Difference
    wrong: Difference
    reviewed: int


def read_recent(
    loop: Loop, reader: Reader, policy: HandoffPolicy, *, since: datetime, rng: np.random.Generator
) -> tuple[Cases, int]:
    """Return the messages since then as the models see them (5,000 drawn by ``rng`` at most), and how many came."""
    names = loop.tables.read(t.INTERACTIONS, columns=["interaction_id"], where=pl.col("occurred_at") >= since)
    ids = names["interaction_id"].sort().to_list()
    drawn = sorted(rng.choice(ids, size=_MOST, replace=False).tolist()) if len(ids) > _MOST else ids
    reading = reader.read(read_conversations(loop, drawn), tasks=policy.tasks, sentiment=policy.sentiment)
    return reading.cases, len(ids)


def since_days(loop: Loop, days: float) -> datetime:
    """Return the time so many days before now."""
    return loop.now() - timedelta(days=days)


def compare_policies(
    new: HandoffPolicy, old: Policy, recent: Cases, messages: int, reviewed: ReviewedCases
) -> Replayed:
    """Return what ``new`` would have changed of what ``old`` decided, without chance near the threshold.

    Handoffs are counted. Wrong answers are estimated by the new policy's risks, and corrected by what reviewers said of
    the audit lot's *estimate* cases, which nothing was fitted to (prediction-powered inference; Angelopoulos et al.,
    2023). Intervals are of another such time.

    Args:
        new: the policy to try.
        old: the live one.
        recent: the messages.
        messages: how many these stand for.
        reviewed: the estimate cases.
    """
    change = old.keeps(recent).astype(float) - new.keeps(recent)
    scale = messages
    predicted = change * new.risks(recent)
    handoffs = _difference(float(change.mean()) if len(change) else 0.0, _variance(change), scale)
    count = len(reviewed.cases)
    if count < _FEWEST:
        wrong = _difference(float(predicted.mean()) if len(change) else 0.0, _variance(predicted), scale)
        return Replayed(messages, len(change), handoffs, wrong, 0)
    truth = find_wrong(reviewed.cases, reviewed.outcomes, new.tasks, count_needed=new.config.count_needed)
    moved = old.keeps(reviewed.cases).astype(float) - new.keeps(reviewed.cases)
    off = moved * (truth - new.risks(reviewed.cases))
    middle = (float(predicted.mean()) if len(change) else 0.0) + float(off.mean())
    wrong = _difference(middle, _variance(predicted) + _variance(off), scale)
    return Replayed(messages, len(change), handoffs, wrong, count)


def _variance(values: np.ndarray) -> float:
    """Return the variance of the mean of ``values``."""
    return float(values.var(ddof=1) / len(values)) if len(values) > 1 else 0.0


def _difference(mean: float, variance: float, scale: float) -> Difference:
    reach = _SURE * variance**0.5
    return Difference(scale * mean, scale * (mean - reach), scale * (mean + reach))
