"""Settled labels become a frozen, named training set, split so that nothing of dev is known from train."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from labeling.delta import Tables
from labeling.digests import digest, keyed_digest
from labeling.errors import TrainingError
from labeling.tables import TRAINING_SETS
from labeling.taxonomy import Task
from labeling.vocabulary import CANNOT_TELL
from training.features import digest_text

if TYPE_CHECKING:
    from datasets import DatasetDict, Features

_LARGE_GROUP_SHARE = 0.05
"""A group with more than this share of the labels trains: one such group in dev would be most of it."""

_ABOUT = ("interaction_id", "text", "conversation_id", "customer_key", "lot")


@dataclass(frozen=True)
class TrainingSet:
    """A frozen set of labels of one task.

    ``training_set_id`` is the digest of its content: equal labels, texts and splits give equal ids, whenever frozen.
    ``label_names`` are the labels with at least one training row, in the taxonomy's order; ``rows`` is a
    TRAINING_SETS frame sorted by interaction_id.
    """

    training_set_id: str
    task: str
    label_names: tuple[str, ...]
    rows: pl.DataFrame


def freeze_training_set(
    labels: pl.DataFrame, interactions: pl.DataFrame, *, task: Task, key: bytes, dev_share: float, now: datetime
) -> TrainingSet:
    """Freeze ``labels`` into a training set of ``task``.

    Rows that share a text (but for case and spacing), a conversation or a customer form a group, groups of groups
    included, and a group lies in train or in dev as a whole. A keyed hash of the group decides, so a dev
    text mostly stays in dev as labels come in. A label that only dev would hold is trained instead, with its group.

    Args:
        labels: LABELS rows of this task, none of the audit lot; "cannot tell" is left out.
        interactions: INTERACTIONS rows; labels whose interaction is not among them (erased) are left out.
        task: names the labels and their order.
        key: of the keyed digests.
        dev_share: the share of groups that go to dev, in [0, 1).
        now: stands in ``frozen_at``; not part of the id.

    Raises:
        TrainingError: fewer than two labels are left, a label is not the task's, or an audit row is among them.
    """
    known = labels.filter((pl.col("task") == task.name) & (pl.col("label") != CANNOT_TELL))
    about = interactions.select(column for column in _ABOUT if column in interactions.columns)
    rows = known.join(about, on="interaction_id", how="inner").sort("interaction_id")
    _check(rows, task)
    is_dev = _draw_dev(rows, key=key, dev_share=dev_share)
    rows = rows.select(
        "interaction_id",
        "label",
        task=pl.lit(task.name),
        weight=pl.col("confidence"),
        text_digest=pl.Series([digest_text(key, text) for text in rows["text"]], dtype=pl.String),
        split=pl.Series(np.where(is_dev, "dev", "train").tolist(), dtype=pl.String),
    )
    trained = set(rows.filter(pl.col("split") == "train")["label"])
    names = tuple(name for name in task.trainable if name in trained)
    content = rows.select("interaction_id", "label", "weight", "text_digest", "split").rows()
    name = digest({"task": task.name, "labels": names, "rows": content})
    stored = rows.with_columns(training_set_id=pl.lit(name), frozen_at=pl.lit(now))
    schema = pl.Schema(TRAINING_SETS.schema)
    return TrainingSet(name, task.name, names, stored.select(list(schema)).cast(schema))


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


def _check(rows: pl.DataFrame, task: Task) -> None:
    if "lot" in rows.columns and (audit := rows.filter(pl.col("lot") == "audit").height):
        raise TrainingError(
            f"task {task.name}: training needs labels of the open lot only, found {audit} of the audit lot: "
            "leave them out, they measure the models"
        )
    found = set(rows["label"])
    if strange := sorted(found - set(task.trainable)):
        raise TrainingError(
            f"task {task.name}: labels are not in the taxonomy: {', '.join(strange)}: "
            "add them to taxonomy.yaml, or say under `migrations` what became of them"
        )
    if len(found) < 2:
        raise TrainingError(
            f"task {task.name} needs labels of at least two kinds to train on, found {rows.height} labels of "
            f"{len(found)}: review more cases, of other kinds"
        )


def _draw_dev(rows: pl.DataFrame, *, key: bytes, dev_share: float) -> np.ndarray:
    """Return which rows are dev, (n,) bool; no label lies in dev alone."""
    groups = _group(rows)
    spaced = _plain(rows["text"])
    draws = np.array([int(keyed_digest(key, "dev", text)[:13], 16) / 16**13 for text in spaced])
    chance = np.full(groups.max() + 1, np.inf)
    np.minimum.at(chance, groups, draws)
    sizes = np.bincount(groups)
    # The least of m draws is below t with 1 - (1 - t)^m: the threshold is made smaller, the share of groups is kept.
    texts = pl.DataFrame({"group": groups, "text": spaced}).unique().group_by("group").len().sort("group")["len"]
    in_dev = chance < 1 - (1 - dev_share) ** (1 / texts.to_numpy())
    in_dev &= sizes <= max(2, _LARGE_GROUP_SHARE * rows.height)
    labels = rows["label"].to_numpy()
    for label in sorted(set(labels)):
        held = groups[labels == label]
        if in_dev[held].all():
            in_dev[held[np.argmax(chance[held])]] = False
    return in_dev[groups]


def _group(rows: pl.DataFrame) -> np.ndarray:
    """Return the group of each row, (n,) int: rows joined by a text, a conversation or a customer, at any remove."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links: list[tuple[Sequence[int], Sequence[int]]] = []
    keys = {"text": _plain(rows["text"])} | {
        name: rows[name] for name in ("conversation_id", "customer_key") if name in rows.columns
    }
    for column in keys.values():
        frame = pl.DataFrame({"key": column, "row": np.arange(rows.height)}).drop_nulls("key")
        linked = frame.with_columns(first=pl.col("row").min().over("key"))
        links.append((linked["row"].to_list(), linked["first"].to_list()))
    one = np.concatenate([np.asarray(link[0], dtype=np.int64) for link in links])
    two = np.concatenate([np.asarray(link[1], dtype=np.int64) for link in links])
    graph = coo_array((np.ones(len(one)), (one, two)), shape=(rows.height, rows.height))
    return connected_components(graph, directed=False)[1]


def _plain(texts: pl.Series) -> pl.Series:
    return texts.str.to_lowercase().str.replace_all(r"\s+", " ").str.strip_chars()
