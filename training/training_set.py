"""Settled labels become a frozen, named training set, split so that nothing of dev is known from train."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from labeling.delta import Tables
from labeling.digests import digest, keyed_digest
from labeling.errors import TooFewLabels, TrainingError
from labeling.tables import TRAINING_SETS
from labeling.taxonomy import Task
from labeling.vocabulary import CANNOT_TELL
from training.duplicates import group_rows, link_near, plain
from training.features import digest_text

if TYPE_CHECKING:
    from datasets import DatasetDict, Features

_LARGE_GROUP_SHARE = 0.05
"""A group with more than this share of the labels trains: one such group in dev would be most of it."""

EMPTY: Final = "text empty"
UNKNOWN: Final = "label outside the taxonomy"
GONE: Final = "text erased"
"""Why a label was left out of a set."""

_PLACEHOLDER: Final = "<[A-Z][A-Z_]+>"

_ABOUT = ("interaction_id", "text", "conversation_id", "customer_key", "lot")


@dataclass(frozen=True)
class TrainingSet:
    """A frozen set of labels of one task.

    ``training_set_id`` is the digest of its content: equal labels, texts and splits give equal ids, whenever frozen.
    ``label_names`` are the labels with at least one training row, in the taxonomy's order; ``rows`` is a
    TRAINING_SETS frame sorted by interaction_id. ``left_out`` counts the labels that could not be used, by reason; a
    set that was loaded does not know them.
    """

    training_set_id: str
    task: str
    label_names: tuple[str, ...]
    rows: pl.DataFrame
    left_out: Mapping[str, int] = field(default_factory=dict)


def freeze_training_set(
    labels: pl.DataFrame, interactions: pl.DataFrame, *, task: Task, key: bytes, dev_share: float, now: datetime
) -> TrainingSet:
    """Freeze ``labels`` into a training set of ``task``.

    Rows that share a text or nearly (``training.duplicates``), a conversation or a customer form a group, groups of
    groups included, and a group lies in train or in dev as a whole. A keyed hash of the group decides, so a dev
    text mostly stays in dev as labels come in. A label that only dev would hold is trained instead, with its group.

    What cannot be trained on is left out and counted: a text of nothing but white space and placeholders
    (``<EMAIL>``), a label that the taxonomy lacks, a text that was erased.

    Args:
        labels: LABELS rows of this task, none of the audit lot; "cannot tell" is left out, uncounted.
        interactions: INTERACTIONS rows.
        task: names the labels and their order.
        key: of the keyed digests.
        dev_share: the share of groups that go to dev, in [0, 1).
        now: stands in ``frozen_at``; not part of the id.

    Raises:
        TooFewLabels: labels of fewer than two kinds are left.
        TrainingError: an audit row is among the labels.
    """
    rows, left_out = _sift(labels, interactions, task)
    _check(rows, task, left_out)
    texts = plain(rows["text"])
    groups = _group(rows, texts)
    is_dev = _draw_dev(texts, rows["label"], groups, key=key, dev_share=dev_share)
    rows = rows.select(
        "interaction_id",
        "label",
        task=pl.lit(task.name),
        weight=pl.col("confidence"),
        text_digest=pl.Series([digest_text(key, text) for text in rows["text"]], dtype=pl.String),
        split=pl.Series(np.where(is_dev, "dev", "train").tolist(), dtype=pl.String),
        group=pl.Series(groups),
    ).with_columns(group_digest=pl.col("text_digest").min().over("group"))
    trained = set(rows.filter(pl.col("split") == "train")["label"])
    names = tuple(name for name in task.trainable if name in trained)
    content = rows.select("interaction_id", "label", "weight", "text_digest", "split").rows()
    name = digest({"task": task.name, "labels": names, "rows": content})
    stored = rows.with_columns(training_set_id=pl.lit(name), frozen_at=pl.lit(now))
    schema = pl.Schema(TRAINING_SETS.schema)
    return TrainingSet(name, task.name, names, stored.select(list(schema)).cast(schema), left_out)


def load_training_set(tables: Tables, training_set_id: str, *, task: Task) -> TrainingSet:
    """Return the set of ``task`` that was frozen under ``training_set_id``.

    Raises:
        TrainingError: there is no such set, or the taxonomy changed since and some of its labels are former ones.
    """
    rows = tables.read(TRAINING_SETS, where=pl.col("training_set_id") == training_set_id).sort("interaction_id")
    if rows.is_empty():
        raise TrainingError(f"training set {training_set_id[:12]} is needed, found no rows of it: freeze it again")
    if former := sorted(set(rows["label"]) - set(task.trainable)):
        raise TrainingError(
            f"training set {training_set_id[:12]} needs labels that the taxonomy has, found {', '.join(former)}, "
            "which changed since it was frozen: freeze a new one"
        )
    trained = set(rows.filter(pl.col("split") == "train")["label"])
    return TrainingSet(training_set_id, task.name, tuple(name for name in task.trainable if name in trained), rows)


def to_dataset(training_set: TrainingSet, interactions: pl.DataFrame) -> "DatasetDict":
    """Return the set with its texts: splits "train" and "dev" of columns text, label and weight.

    Raises:
        TrainingError: a text is gone since the set was frozen (a person was erased).
    """
    from datasets import Dataset, DatasetDict

    rows = training_set.rows.join(interactions.select("interaction_id", "text"), on="interaction_id", how="left")
    if gone := rows["text"].null_count():
        raise TrainingError(
            f"training set {training_set.training_set_id[:12]} needs {rows.height} texts, found {gone} of them gone "
            "(erased since it was frozen): freeze a new one"
        )
    splits = {split: rows.filter(pl.col("split") == split) for split in ("train", "dev")}
    return DatasetDict(
        {name: Dataset.from_dict(part.select("text", "label", "weight").to_dict(as_series=False), features=_schema())
         for name, part in splits.items()}
    )  # fmt: skip


def _schema() -> "Features":
    from datasets import Features, Value

    return Features({"text": Value("string"), "label": Value("string"), "weight": Value("float64")})


def _sift(labels: pl.DataFrame, interactions: pl.DataFrame, task: Task) -> tuple[pl.DataFrame, dict[str, int]]:
    """Return the labels with their texts, by interaction_id, and how many were left out for each reason."""
    about = interactions.select(column for column in _ABOUT if column in interactions.columns)
    settled = labels.filter((pl.col("task") == task.name) & (pl.col("label") != CANNOT_TELL))
    reason = (
        pl.when(pl.col("text").is_null())
        .then(pl.lit(GONE))
        .when(~pl.col("label").is_in(task.trainable))
        .then(pl.lit(UNKNOWN))
        .when(pl.col("text").str.replace_all(_PLACEHOLDER, "").str.strip_chars() == "")
        .then(pl.lit(EMPTY))
    )
    judged = settled.join(about, on="interaction_id", how="left").with_columns(reason=reason).sort("interaction_id")
    counts = judged.drop_nulls("reason").group_by("reason").len().sort("reason")
    return judged.filter(pl.col("reason").is_null()), dict(counts.iter_rows())


def _check(rows: pl.DataFrame, task: Task, left_out: Mapping[str, int]) -> None:
    if "lot" in rows.columns and (audit := rows.filter(pl.col("lot") == "audit").height):
        raise TrainingError(
            f"task {task.name}: training needs labels of the open lot only, found {audit} of the audit lot: "
            "leave them out, they measure the models"
        )
    if (kinds := rows["label"].n_unique()) < 2:
        without = "".join(f", {count} left out ({reason})" for reason, count in left_out.items())
        raise TooFewLabels(
            f"task {task.name} needs labels of at least two kinds to train on, found {rows.height} labels of "
            f"{kinds}{without}: review more cases, of other kinds"
        )


def _draw_dev(texts: pl.Series, labels: pl.Series, groups: np.ndarray, *, key: bytes, dev_share: float) -> np.ndarray:
    """Return which rows are dev, (n,) bool; no label lies in dev alone."""
    draws = np.array([int(keyed_digest(key, "dev", text)[:13], 16) / 16**13 for text in texts])
    chance = np.full(groups.max() + 1, np.inf)
    np.minimum.at(chance, groups, draws)
    sizes = np.bincount(groups)
    # The least of m draws is below t with 1 - (1 - t)^m: the threshold is made smaller, the share of groups is kept.
    different = pl.DataFrame({"group": groups, "text": texts}).unique().group_by("group").len().sort("group")["len"]
    in_dev = chance < 1 - (1 - dev_share) ** (1 / different.to_numpy())
    in_dev &= sizes <= max(2, _LARGE_GROUP_SHARE * len(texts))
    held = pl.DataFrame({"label": labels, "group": groups, "chance": chance[groups], "dev": in_dev[groups]})
    for rows in held.filter(pl.col("dev").all().over("label")).partition_by("label", maintain_order=True):
        if in_dev[rows["group"].to_numpy()].all():
            in_dev[rows["group"][int(rows["chance"].arg_max() or 0)]] = False
    return in_dev[groups]


def _group(rows: pl.DataFrame, texts: pl.Series) -> np.ndarray:
    """Return the group of each row, (n,) int: joined by a text or nearly, a conversation or a customer."""
    shared = [rows[name] for name in ("conversation_id", "customer_key") if name in rows.columns]
    return group_rows([texts, *shared], link_near(texts))
