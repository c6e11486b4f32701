"""Choose the cases a person should read next: the one function that applies the policy to a pool."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import numpy as np
import polars as pl

from labeling.selection.naming import name_again, name_first, name_gold
from labeling.selection.policy import AUDIT, SelectionPolicy
from labeling.selection.pool import Pool
from labeling.selection.ranking import draw_ties, find_highest
from labeling.selection.spending import Choice, Spending
from labeling.tables import REVIEW_QUEUE

OPEN: Final = "open"
"""The frame of what was picked from the open lot's interactions that nobody was asked about."""
LABELLED: Final = "labelled"
"""The frame of what is asked again: the open lot's labelled interactions."""


@dataclass(frozen=True)
class Selection:
    """The cases that were picked, and what bounded the choice.

    Attributes:
        queue: REVIEW_QUEUE rows.
        frames: frame to how many interactions it held.
        duplicates: how many rows were passed over as near-duplicates.
        capped: how many were passed over because their predicted label had its share.
    """

    queue: pl.DataFrame
    frames: Mapping[str, int]
    duplicates: int
    capped: int


def select_for_review(
    pool: Pool,
    *,
    policy: SelectionPolicy,
    budget: int,
    round: str,  # noqa: A002 (the column's name)
    champion: str | None,
    now: datetime,
    rng: np.random.Generator,
) -> Selection:
    """Choose the cases a person should read next.

    Every audit case goes, blind, outside the budget, and exempt from caps and de-duplication. Of the budget a share
    goes to gold cases, and the rest by the policy's shares to labels in doubt, gate requests, disagreements, failed
    handoffs and novel texts, each by its score; what is left goes to what the model is least sure of, spread over the
    pool. Deterministic picks stand for themselves alone: the shares are no sampling rates. The result depends on the
    rows and on ``rng``, not on the order of the rows.

    Args:
        pool: what to choose from.
        policy: the shares and caps.
        budget: cases of the open lot (>= 0).
        round: names this selection.
        champion: whose predictions ranked the pool; None before the first.
        now: when it is made.
        rng: the only source of chance.
    """
    pool = _settle_order(pool)
    waiting = pool.waiting
    is_audit = (waiting["lot"] == AUDIT).to_numpy()
    ties = draw_ties(waiting["interaction_id"], rng)
    spending = Spending(pool, is_open=~is_audit, policy=policy, budget=budget, ties=ties, rng=rng)
    if policy.strategy == "uniform":
        drawn = find_highest(np.where(is_audit, np.nan, 0.0), ties, budget)
        spending.choices += [Choice(row, "uniform", None) for row in drawn.tolist()]
    elif budget:
        spending.spend()
    frames = {AUDIT: int(is_audit.sum()), OPEN: int((~is_audit).sum()), LABELLED: pool.labelled.height}
    audit = waiting.filter(is_audit).sort("interaction_id")
    rows = pl.concat([_audit_rows(audit), _rows(pool, spending.choices, round)])
    is_blind = (rows["reason"] == AUDIT) | pl.Series(rng.random(rows.height) < policy.blind_share, dtype=pl.Boolean)
    queue = rows.with_columns(
        round=pl.lit(round),
        frame_size=pl.col("frame").replace_strict(frames, return_dtype=pl.Int64),
        champion=pl.lit(champion, pl.String),
        gold=pl.col("reason") == "gold",
        blind=is_blind,
        overlap=pl.Series(1 + (rng.random(rows.height) < policy.overlap_share), dtype=pl.Int32),
        picked_at=pl.lit(now),
    )
    queue = queue.select(list(REVIEW_QUEUE.schema)).cast(pl.Schema(REVIEW_QUEUE.schema))
    return Selection(queue, frames, spending.duplicates, spending.capped)


def _settle_order(pool: Pool) -> Pool:
    """Put what is labelled into an order of its own; the waiting, which may be a million, stay as they are."""
    order = pool.labelled["interaction_id"].arg_sort().to_numpy()
    return replace(pool, labelled=pool.labelled[order], known=pool.known[order])


_ROW: Final = {
    "case_id": pl.String,
    "interaction_id": pl.String,
    "reason": pl.String,
    "score": pl.Float64,
    "frame": pl.String,
}


def _audit_rows(audit: pl.DataFrame) -> pl.DataFrame:
    named = [(name_first(name, withdrawn), name, AUDIT, None, AUDIT) for name, withdrawn in _names(audit)]
    return pl.DataFrame(named, schema=_ROW, orient="row")


def _rows(pool: Pool, choices: Sequence[Choice], round: str) -> pl.DataFrame:  # noqa: A002 (the column's name)
    again = [one for one in choices if one.is_labelled]
    first = [one for one in choices if not one.is_labelled]
    of_again = pool.labelled["interaction_id"].gather([one.row for one in again])
    rows = [
        (name_gold(name, round) if one.reason == "gold" else name_again(name), name, one.reason, one.score, LABELLED)
        for one, name in zip(again, of_again, strict=True)
    ]
    rows += [
        (name_first(name, withdrawn), name, one.reason, one.score, OPEN)
        for one, (name, withdrawn) in zip(first, _names(pool.waiting[[one.row for one in first]]), strict=True)
    ]
    return pl.DataFrame(rows, schema=_ROW, orient="row")


def _names(waiting: pl.DataFrame) -> Iterator[tuple[str, int]]:
    return waiting.select("interaction_id", "withdrawn").iter_rows()
