"""Which cases a person should read next: the policy, and the one function that applies it."""

import hashlib
from datetime import datetime, timedelta
from typing import Final, Literal, Self

import numpy as np
import polars as pl
from pydantic import Field, model_validator

from labeling.config import Config
from labeling.selection.diversity import Picked, pick_cover
from labeling.selection.uncertainty import read_doubt
from labeling.sources.lots import LotPolicy
from labeling.tables import REVIEW_QUEUE

AUDIT: Final = "audit"
"""The reason of every audit case."""


class ReasonShares(Config):
    """How the budget is split by reason; the shares sum to 1. What one reason cannot use goes to uncertainty."""

    uncertainty: float = Field(ge=0, le=1)
    disagreement: float = Field(ge=0, le=1)
    handoff: float = Field(ge=0, le=1)
    novelty: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _check_sum(self) -> Self:
        total = self.uncertainty + self.disagreement + self.handoff + self.novelty
        if abs(total - 1) > 1e-9:
            raise ValueError(f"the shares of the reasons must sum to 1, found {total:g}")
        return self


class SelectionPolicy(Config):
    """configs/selection.yaml.

    Attributes:
        budget: cases of the open lot that people can read a day; audit cases come on top.
        strategy: cover chooses by the shares; uniform draws all cases alike (for comparison).
        shares: what the budget goes to.
        breadth: uncertain cases are spread over the ``breadth`` times as many least sure ones (>= 1).
        duplicate_similarity: the cosine from which two texts are near-duplicates, of which one is picked, and none
            where one is labelled.
        overlap_share: the share of cases that two people answer.
        blind_share: the share of open cases shown without a suggestion; audit cases always are.
        lots: which conversations are audited.
    """

    schema_version: Literal[1]
    budget: int = Field(ge=0)
    strategy: Literal["cover", "uniform"]
    shares: ReasonShares
    breadth: float = Field(ge=1)
    duplicate_similarity: float = Field(gt=0, le=1)
    overlap_share: float = Field(ge=0, le=1)
    blind_share: float = Field(ge=0, le=1)
    lots: LotPolicy


def remaining_budget(queue: pl.DataFrame, *, policy: SelectionPolicy, now: datetime) -> int:
    """Return the budget less the open-lot cases of the ``queue`` (REVIEW_QUEUE) picked in the last 24 hours."""
    lately = queue.filter(pl.col("reason") != AUDIT, pl.col("picked_at") > now - timedelta(days=1))
    return max(0, policy.budget - lately.height)


def select_for_review(
    pool: pl.DataFrame,
    features: np.ndarray,
    *,
    policy: SelectionPolicy,
    budget: int,
    round: str,  # noqa: A002 (the column's name)
    now: datetime,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """Choose the cases a person should read next.

    Every audit case goes, blind and outside the budget. The budget goes by share to what an agent corrected although
    the model was sure (disagreement), what was escalated (handoff), what is far from all labels (novelty) and what the
    model is least sure of, spread over the pool (uncertainty). The result depends on the rows, not on their order; ties
    are broken by ``rng``.

    Args:
        pool: one row per interaction that nobody was asked about: interaction_id, lot, text_digest, margin and
            confidence in [0, 1] or null, corrected, escalated; optional ``nearest_labelled``, the cosine distance to
            the nearest labelled text, null where unknown (without it the share of novelty goes to uncertainty).
        features: (n, d), normalised, row by row as the pool.
        policy: the shares.
        budget: cases of the open lot (>= 0).
        round: names this selection.
        now: when it is made.
        rng: the only source of chance.

    Returns:
        REVIEW_QUEUE table: all audit rows, and ``budget`` open rows, fewer only where the pool holds no more that
        differ.
    """
    order = pool["interaction_id"].arg_sort().to_numpy()
    pool, features = pool[order], features[order]
    is_audit = (pool["lot"] == AUDIT).to_numpy()
    audit, opened = np.flatnonzero(is_audit), np.flatnonzero(~is_audit)
    if policy.strategy == "cover":
        opened = opened[_is_new(pool[opened], policy)]
    choose = _draw_uniform if policy.strategy == "uniform" else _choose_cover
    chosen = choose(pool[opened], features[opened], policy, min(budget, len(opened)), rng)
    picked = pl.concat(
        [
            pool[audit].select("interaction_id", reason=pl.lit(AUDIT), score=pl.lit(None, pl.Float64)),
            pool[opened][[row for row, _, _ in chosen]].select(
                "interaction_id",
                reason=pl.Series([reason for _, reason, _ in chosen], dtype=pl.String),
                score=pl.Series([score for _, _, score in chosen], dtype=pl.Float64),
            ),
        ]
    )
    is_blind = (picked["reason"] == AUDIT) | pl.Series(rng.random(picked.height) < policy.blind_share, dtype=pl.Boolean)
    rows = picked.with_columns(
        case_id=pl.Series([case_id(name) for name in picked["interaction_id"]], dtype=pl.String),
        round=pl.lit(round),
        pool_size=pl.when(pl.col("reason") == AUDIT).then(len(audit)).otherwise(len(pool) - len(audit)),
        blind=is_blind,
        overlap=pl.Series(1 + (rng.random(picked.height) < policy.overlap_share), dtype=pl.Int32),
        picked_at=pl.lit(now),
    )
    return rows.select(list(REVIEW_QUEUE.schema)).cast(pl.Schema(REVIEW_QUEUE.schema))


def case_id(interaction_id: str) -> str:
    """Return the name of the case of an interaction: always the same, so that it is asked once."""
    return f"case-{hashlib.sha256(interaction_id.encode()).hexdigest()[:20]}"


def _is_new(pool: pl.DataFrame, policy: SelectionPolicy) -> np.ndarray:
    """Return for each row whether nothing labelled is a near-duplicate of it, as far as is known."""
    return ~(_read_novelty(pool) <= 1 - policy.duplicate_similarity)


def _read_novelty(pool: pl.DataFrame) -> np.ndarray:
    if "nearest_labelled" not in pool.columns:
        return np.full(pool.height, np.nan)
    return pool["nearest_labelled"].cast(pl.Float64).fill_null(np.nan).to_numpy()


_Choice = list[tuple[int, str, float | None]]
"""Row of the open pool, reason, score."""


def _draw_uniform(
    pool: pl.DataFrame, features: np.ndarray, policy: SelectionPolicy, budget: int, rng: np.random.Generator
) -> _Choice:
    del features, policy
    return [(int(row), "uniform", None) for row in rng.choice(pool.height, budget, replace=False)]


def _choose_cover(
    pool: pl.DataFrame, features: np.ndarray, policy: SelectionPolicy, budget: int, rng: np.random.Generator
) -> _Choice:
    if not budget:
        return []
    copies = pool["text_digest"].to_numpy()
    picked = Picked(features, copies, similarity=policy.duplicate_similarity, room=budget)
    choice: _Choice = []
    for reason, share, scores in _reasons(pool, policy):
        eligible = _first_of_copies(_best_first(scores, rng), copies)
        taken = picked.take(eligible, min(int(budget * share), budget - len(choice)))
        choice += [(row, reason, float(scores[row])) for row in taken]
    doubt = read_doubt(pool)
    for row in _spread(picked, features, doubt, copies, wanted=budget - len(choice), breadth=policy.breadth, rng=rng):
        choice.append((row, "uncertainty", float(doubt[row])))
    return choice


def _reasons(pool: pl.DataFrame, policy: SelectionPolicy) -> list[tuple[str, float, np.ndarray]]:
    """Return reason, share and (n,) scores, not-a-number where a row has not that reason."""
    doubt = read_doubt(pool)
    confidence = pool["confidence"].fill_null(0.0).to_numpy()
    shares = policy.shares
    return [
        ("disagreement", shares.disagreement, np.where(pool["corrected"].to_numpy(), confidence, np.nan)),
        ("handoff", shares.handoff, np.where(pool["escalated"].to_numpy(), doubt, np.nan)),
        ("novelty", shares.novelty, _read_novelty(pool)),
    ]


def _spread(
    picked: Picked,
    features: np.ndarray,
    doubt: np.ndarray,
    copies: np.ndarray,
    *,
    wanted: int,
    breadth: float,
    rng: np.random.Generator,
) -> list[int]:
    """Pick ``wanted`` uncertain rows: a cover of the least sure, then the least sure that are left."""
    if wanted <= 0:
        return []
    free = np.ones(len(doubt), dtype=bool)
    free[picked.rows] = False
    best = _first_of_copies(_best_first(np.where(free, doubt, np.nan), rng), copies)
    candidates = best[: int(np.ceil(breadth * wanted))]
    if not len(candidates):
        return []
    weights = np.maximum(doubt[candidates], 1e-6)
    taken = picked.take(candidates[pick_cover(features[candidates], weights, wanted, rng=rng)], wanted)
    return taken + picked.take(best, wanted - len(taken))


def _best_first(scores: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the rows that have a score, the highest first, ties in an order drawn by ``rng``."""
    scored = np.flatnonzero(~np.isnan(scores))
    return scored[np.lexsort((rng.random(len(scored)), -scores[scored]))]


def _first_of_copies(rows: np.ndarray, copies: np.ndarray) -> np.ndarray:
    """Keep the first row of each text."""
    _, first = np.unique(copies[rows], return_index=True)
    return rows[np.sort(first)]
