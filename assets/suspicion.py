"""Which labels are likely errors, by the texts that they stand for."""

from collections.abc import Callable
from typing import Final

import numpy as np
import polars as pl

from assets.resources import Loop
from labeling import tables as t
from labeling.digests import keyed_digest
from labeling.settling.label_errors import rate_suspicion
from labeling.vocabulary import CANNOT_TELL

LABELS_NEEDED: Final = 200
"""With fewer labels of a task, or fewer than ``EACH_NEEDED`` of a label, a model knows too little to doubt any."""
EACH_NEEDED: Final = 5
LABELS_AT_MOST: Final = 6000
"""The newest ones: the cost of one rating stays under half a minute on one core."""
UNRATED_SHARE: Final = 0.05
"""Labels are rated again when this share of them is new or changed since: one answer changes no other's suspicion."""

_FOLDS: Final = 5
_PENALTY: Final = 10.0
"""scikit-learn's C."""

_ITERATIONS: Final = 200


def rate_labels(
    loop: Loop, labels: pl.DataFrame, *, features_of: Callable[[Loop, pl.Series], np.ndarray]
) -> pl.DataFrame:
    """Return ``labels`` with ``suspicion`` filled in for the tasks of which enough is new.

    Args:
        loop: the tables, the recipe and the key.
        labels: LABELS table as it will be stored; suspicion is null where a label is new or changed.
        features_of: returns the features of texts.
    """
    texts = loop.tables.read(t.INTERACTIONS, columns=["interaction_id", "text"], where=pl.col("lot") == "open")
    said = labels.filter(pl.col("source").is_in(["review", "correction"]) & (pl.col("label") != CANNOT_TELL))
    known = said.join(texts, on="interaction_id")
    rated = [
        _rate(loop, rows, features_of)
        for task in loop.settings.taxonomy.task_names
        if is_due(rows := _ratable(known.filter(pl.col("task") == task)))
    ]
    if not rated:
        return labels
    found = pl.concat(rated)
    return (
        labels.join(found, on=["interaction_id", "task"], how="left", maintain_order="left")
        .with_columns(suspicion=pl.coalesce("rated", "suspicion"))
        .select(list(t.LABELS.schema))
    )


def is_due(rows: pl.DataFrame) -> bool:
    """Say whether ``rows``, the labels of one task that can be rated, are enough, and enough of them unrated."""
    if rows.height < LABELS_NEEDED or rows["label"].n_unique() < 2:
        return False
    return rows["suspicion"].null_count() >= UNRATED_SHARE * rows.height


def _ratable(of_task: pl.DataFrame) -> pl.DataFrame:
    newest = of_task.sort("settled_at", "interaction_id").tail(LABELS_AT_MOST)
    return newest.filter(pl.len().over("label") >= EACH_NEEDED).sort("interaction_id")


def _rate(loop: Loop, rows: pl.DataFrame, features_of: Callable[[Loop, pl.Series], np.ndarray]) -> pl.DataFrame:
    features = features_of(loop, rows["text"])
    targets = (rows["label"].rank("dense") - 1).cast(pl.Int64).to_numpy()
    weights = np.clip(rows["confidence"].to_numpy(), 0.01, 1.0)
    seed = keyed_digest(loop.folder.key(), "suspicion", *rows["interaction_id"])
    rng = np.random.default_rng(int(seed[:32], 16))
    probs = predict_out_of_fold(loop, features, targets, weights, rng)
    suspicion = np.round(rate_suspicion(features, targets, probs), 2)
    return rows.select("interaction_id", "task", rated=pl.Series(suspicion, dtype=pl.Float64))


def predict_out_of_fold(
    loop: Loop, features: np.ndarray, targets: np.ndarray, weights: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return what a logistic regression that did not learn a row says of it, (n, labels), rows summing to 1."""
    from scipy.special import softmax

    from training.heads import apply_head, cut_folds, fit_head

    probs = np.zeros((len(targets), int(targets.max()) + 1))
    for part in cut_folds(targets, folds=_FOLDS, rng=rng):
        rest = np.setdiff1d(np.arange(len(targets)), part)
        head = fit_head(
            features[rest],
            targets[rest],
            weights[rest],
            inverse_penalty=_PENALTY,
            max_iterations=_ITERATIONS,
        )
        probs[part] = softmax(apply_head(features[part], head), axis=1)
    return probs
