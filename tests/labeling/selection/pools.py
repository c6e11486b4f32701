"""Pools to select from, made of chance."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from labeling.config import load_config, parse_config
from labeling.selection.choosing import Selection, select_for_review
from labeling.selection.policy import SelectionPolicy
from labeling.selection.pool import LABELLED, WAITING, Pool

POLICY = load_config(Path(__file__).parents[3] / "configs" / "selection.yaml", SelectionPolicy)
REASONS = ("uncertainty", "disagreement", "handoff", "novelty", "gate_request", "label_error")
NOW = datetime(2026, 3, 1, tzinfo=UTC)
CLASSES = 4


def policy(**change) -> SelectionPolicy:
    """The packaged policy without gold cases and caps, but for what ``change`` says."""
    plain = {"gold_share": 0.0, "cap_per_intent": 1.0}
    return parse_config(POLICY.model_dump() | plain | change, SelectionPolicy, name="selection.yaml")


def shares(**given: float) -> dict[str, float]:
    return dict.fromkeys(REASONS, 0.0) | given


def directions(count: int, rng: np.random.Generator, *, width: int = 8) -> np.ndarray:
    features = rng.normal(size=(count, width))
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)


def some(values: np.ndarray, chance: float, rng: np.random.Generator) -> pl.Series:
    """``values``, each null but with ``chance``."""
    return pl.Series(np.where(rng.random(len(values)) < chance, values, np.nan)).fill_nan(None)


def make_pool(size: int = 200, *, labelled: int = 40, seed: int = 0, audit: float = 0.2) -> Pool:
    """A pool in which a fifth of the rows has each reason, and every label is known well."""
    rng = np.random.default_rng(seed)
    waiting = pl.DataFrame(
        schema_overrides=WAITING,
        data={
            "interaction_id": [f"i{number:04d}" for number in rng.permutation(size)],
            "lot": np.where(rng.random(size) < audit, "audit", "open"),
            "copy_key": np.arange(size),
            "predicted": [f"label-{number}" for number in rng.integers(0, CLASSES, size)],
            "margin": rng.random(size),
            "disagreement": some(rng.random(size), 0.2, rng),
            "handoff": some(rng.random(size), 0.2, rng),
            "request": pl.Series(np.where(rng.random(size) < 0.2, 0, -1)).replace(-1, None),
            "withdrawn": np.zeros(size, dtype=int),
        },
    )
    known = pl.DataFrame(
        schema_overrides=LABELLED,
        data={
            "interaction_id": [f"k{number:04d}" for number in range(labelled)],
            "target": rng.integers(0, CLASSES, labelled),
            "suspicion": rng.random(labelled),
            "is_gold": np.ones(labelled, dtype=bool),
            "gold_asked": np.zeros(labelled, dtype=int),
        },
    )
    features, seen = directions(size, rng), directions(labelled, rng)
    return Pool(waiting, features, known, seen, seen[:0], classes=CLASSES, needed=(size,))


def select(pool: Pool, chosen: SelectionPolicy | None = None, *, budget: int = 40, seed: int = 0) -> Selection:
    """Select with ``chosen``, near-duplicates being copies alone, because these pools have few dimensions."""
    return select_for_review(
        pool,
        policy=chosen or policy(duplicate_similarity=1.0),
        budget=budget,
        round="week-1",
        champion="3",
        now=NOW,
        rng=np.random.default_rng(seed),
    )


def reasons(selection: Selection) -> dict[str, int]:
    """How many cases each reason has, audit cases left out."""
    counted = selection.queue.filter(pl.col("reason") != "audit")["reason"].value_counts()
    return dict(counted.iter_rows())
