"""One way of choosing cases, in a process of its own: ``python -m benchmarks.harness.selecting ARM SEED ROWS COUNT``.

It prints ``begun`` when its pool is made and all is imported, and ``done`` with the seconds of choosing.
"""

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from labeling.config import load_config
from labeling.selection.choosing import select_for_review
from labeling.selection.policy import SelectionPolicy
from labeling.selection.pool import LABELLED, WAITING, Pool

_WIDTH = 384
_CLUSTERS = 300
_INTENTS = 77
_LABELS = 2_000
_COPIES = 0.05
_REASON = 0.01
_BLOCK = 20_000
_SPREAD = 0.7
"""How far texts of a cluster lie from its middle, as a share of their length: cosines of about two thirds."""


def main() -> None:
    """Make the pool of SEED, and choose COUNT of its first ROWS by the way called ARM."""
    arm, seed, rows, count = sys.argv[1], *map(int, sys.argv[2:5])
    pool = make_pool(rows, np.random.default_rng(seed))
    choose = {"cxloop": prepare_cxloop, "small_text": prepare_small_text, "skactiveml": prepare_skactiveml}[arm](
        pool, count, seed
    )
    print("begun", flush=True)
    begun = time.perf_counter()
    found = choose()
    print(f"done {time.perf_counter() - begun}", flush=True)
    if found != count:
        raise SystemExit(f"{count} cases are needed, {arm} chose {found}")


def make_pool(rows: int, rng: np.random.Generator) -> Pool:
    """Return a pool of ``rows``, filled block by block so that the features are held once."""
    middles = rng.standard_normal((_CLUSTERS, _WIDTH), dtype=np.float32)
    middles /= np.linalg.norm(middles, axis=1, keepdims=True)
    share = 1 / np.arange(1, _CLUSTERS + 1)
    known, of_known = draw(_LABELS, middles, share / share.sum(), rng)
    features, clusters = np.empty((rows, _WIDTH), dtype=np.float32), np.empty(rows, dtype=np.int64)
    for start in range(0, rows, _BLOCK):
        block = slice(start, min(start + _BLOCK, rows))
        features[block], clusters[block] = draw(block.stop - start, middles, share / share.sum(), rng)
    keys, copied = np.arange(rows), np.flatnonzero(rng.random(rows) < _COPIES)
    keys[copied] = keys[copied - 1]
    features[copied] = features[copied - 1]
    waiting = pl.DataFrame(
        schema_overrides=WAITING,
        data={
            "interaction_id": pl.select("i-" + pl.int_range(rows).cast(pl.String)).to_series(),
            "lot": pl.select(pl.repeat("open", rows)).to_series(),
            "copy_key": keys,
            "predicted": "label-" + pl.Series(clusters % _INTENTS).cast(pl.String),
            "margin": rng.random(rows),
            "disagreement": rare(rows, rng),
            "handoff": rare(rows, rng),
            "request": pl.Series(np.where(clusters == _CLUSTERS - 1, 0, -1)).replace(-1, None),
            "withdrawn": np.zeros(rows, dtype=np.int32),
        },
    )
    labelled = pl.DataFrame(
        schema_overrides=LABELLED,
        data={
            "interaction_id": [f"k-{number}" for number in range(_LABELS)],
            "target": np.where(rng.random(_LABELS) < 0.05, -1, of_known % _INTENTS),
            "suspicion": rng.random(_LABELS),
            "is_gold": rng.random(_LABELS) < 0.1,
            "gold_asked": np.zeros(_LABELS, dtype=np.int32),
        },
    )
    return Pool(waiting, features, labelled, known, known[:0], classes=_INTENTS, needed=(30,))


def draw(count: int, middles: np.ndarray, share: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return ``count`` features of length 1 around ``middles``, and the cluster of each."""
    clusters = rng.choice(len(middles), count, p=share)
    around = rng.standard_normal((count, _WIDTH), dtype=np.float32) * np.float32(_SPREAD / np.sqrt(_WIDTH))
    features = middles[clusters] + around
    return features / np.linalg.norm(features, axis=1, keepdims=True), clusters


def rare(rows: int, rng: np.random.Generator) -> pl.Series:
    """Return scores in [0, 1] of a hundredth of the rows, null for the others."""
    return pl.Series(np.where(rng.random(rows) < _REASON, rng.random(rows), np.nan)).fill_nan(None)


def prepare_cxloop(pool: Pool, count: int, seed: int) -> Callable[[], int]:
    """Return cxloop's selection by the packaged policy."""
    from scipy import sparse  # noqa: F401 loaded before the clock starts, as the peers are

    policy = load_config(Path(__file__).parents[2] / "configs" / "selection.yaml", SelectionPolicy)

    def choose() -> int:
        return select_for_review(
            pool,
            policy=policy,
            budget=count,
            round="benchmark",
            champion="1",
            now=datetime(2026, 3, 1, tzinfo=UTC),
            rng=np.random.default_rng(seed),
        ).queue.height

    return choose


def prepare_small_text(pool: Pool, count: int, seed: int) -> Callable[[], int]:
    """Return small-text's greedy k-centres."""
    from small_text.query_strategies.coresets import greedy_coreset

    del seed
    everything = np.concatenate([pool.features, pool.known])
    rows = len(pool.features)
    return lambda: len(
        greedy_coreset(everything, np.arange(rows), np.arange(rows, len(everything)), count, normalized=True)
    )


def prepare_skactiveml(pool: Pool, count: int, seed: int) -> Callable[[], int]:
    """Return scikit-activeml's greedy k-centres."""
    from skactiveml.pool import CoreSet

    strategy = CoreSet(random_state=seed)
    everything = np.concatenate([pool.features, pool.known])
    labels = np.concatenate([np.full(len(pool.features), np.nan), pool.targets.astype(float)])
    return lambda: len(strategy.query(X=everything, y=labels, batch_size=count))


if __name__ == "__main__":
    main()
