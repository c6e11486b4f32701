"""What data a challenger learnt from that its champion did not, and from whom."""

from dataclasses import asdict, dataclass
from typing import Any, Self

import polars as pl

_PAIR = ("interaction_id", "label")


@dataclass(frozen=True)
class DataChange:
    """A training set beside the one before.

    Attributes:
        training_set_id: of the new one; "" where its rows are gone.
        rows: its rows.
        classes: its labels.
        added: rows (an interaction with its label) that the one before lacks; all where there is none before.
        removed: rows of the one before that it lacks; an interaction with another label counts in both.
        sources: added rows by what settled their label (review, correction); those whose label has gone are in none.
        annotators: answers behind the added rows, by who gave them.
        per_label_added: added rows by label.
    """

    training_set_id: str
    rows: int
    classes: int
    added: int
    removed: int
    sources: dict[str, int]
    annotators: dict[str, int]
    per_label_added: dict[str, int]

    def to_document(self) -> dict[str, Any]:
        """Return the change as it stands in a case file."""
        return asdict(self)

    @classmethod
    def from_document(cls, said: dict[str, Any]) -> Self:
        """Return the change that a case file holds."""
        return cls(**said)


def compare_sets(
    rows: pl.DataFrame,
    before: pl.DataFrame | None,
    *,
    labels: pl.DataFrame,
    reviews: pl.DataFrame,
    corrections: pl.DataFrame,
) -> DataChange:
    """Say what is new in a training set.

    Args:
        rows: TRAINING_SETS rows of the challenger's set of one task.
        before: those of the champion's; None where there is none.
        labels: LABELS rows of the task.
        reviews: ``review_id, annotator_id`` of REVIEWS.
        corrections: ``correction_id, agent_id`` of CORRECTIONS.
    """
    earlier = rows.clear() if before is None else before
    added = rows.join(earlier, on=_PAIR, how="anti")
    settled = added.select(_PAIR).join(labels, on=_PAIR)
    answers = settled.select(answer_id=pl.col("answer_ids").explode()).drop_nulls().unique()
    names = pl.concat([
        reviews.select(answer_id="review_id", who="annotator_id"),
        corrections.select(answer_id="correction_id", who="agent_id"),
    ]).unique("answer_id")  # fmt: skip
    return DataChange(
        training_set_id=str(rows["training_set_id"].first() or ""),
        rows=rows.height,
        classes=rows["label"].n_unique(),
        added=added.height,
        removed=earlier.join(rows, on=_PAIR, how="anti").height,
        sources=_count(settled["source"]),
        annotators=_count(answers.join(names, on="answer_id")["who"]),
        per_label_added=_count(added["label"]),
    )


def _count(values: pl.Series) -> dict[str, int]:
    counted = values.drop_nulls().rename("value").value_counts(name="count").sort("value")
    return dict(counted.iter_rows())
