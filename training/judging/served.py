"""What was served in a window of time, and which of it people have read for the estimate of accuracy."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from labeling.vocabulary import CANNOT_TELL

CLOCKS_DIFFER: Final = timedelta(days=1)
"""By how much the clock of a helpdesk may be ahead of ours: an answer may seem to precede its message by this."""

SLICES: Final = {"label": "answered as", "channel": "channel", "segment": "segment"}
"""The columns by which accuracy is told apart, and what they are called."""


@dataclass(frozen=True)
class Window:
    """The messages that occurred from ``since`` on and before ``until``."""

    since: datetime
    until: datetime

    def holds(self, column: str) -> pl.Expr:
        """Return whether the time in ``column`` lies in the window."""
        return (pl.col(column) >= self.since) & (pl.col(column) < self.until)


@dataclass(frozen=True)
class Response:
    """What became of the messages of a window that were drawn for the estimate, in messages.

    ``answered`` have a label, of ``unsure`` people could not tell, ``skipped`` were passed over and have no answer,
    ``waiting`` nobody has touched. The four sum to ``drawn``.
    """

    drawn: int
    answered: int
    unsure: int
    skipped: int
    waiting: int

    @property
    def missing_share(self) -> float:
        """The share of drawn messages without a label, in [0, 1]; 0 where none was drawn."""
        return 1 - self.answered / self.drawn if self.drawn else 0.0


def served_answers(
    predictions: pl.DataFrame, labels: pl.DataFrame, interactions: pl.DataFrame, *, task: str, window: Window
) -> pl.DataFrame:
    """Return the answer that was served to each message of the window, one row a message.

    As served is the first prediction of an interaction that was shown; what a later champion says of it was not
    served, and a message that was handed over had no answer.

    Args:
        predictions: PREDICTIONS rows, at least those from ``window.since`` less ``CLOCKS_DIFFER`` on.
        labels: LABELS rows; only those that reviews settled count, and only of the *estimate* part of the audit lot:
            reviews of the open lot were chosen, so they stand for nothing but themselves.
        interactions: INTERACTIONS rows.
        task: which task.
        window: which messages.

    Returns:
        ``interaction_id``, ``conversation_id``, ``occurred_at``, ``channel``, ``segment``, ``label``, ``confidence``,
        ``margin``, ``model_version``, ``drawn`` (for the estimate) and ``right``, null where no person has said.
    """
    about = interactions.filter(window.holds("occurred_at")).select(
        "interaction_id", "conversation_id", "occurred_at", "channel", "segment", "lot", "part"
    )
    first = (
        predictions.filter(pl.col("task") == task, pl.col("shown"))
        .sort("predicted_at", "model_version")
        .unique("interaction_id", keep="first", maintain_order=True)
        .select("interaction_id", "label", "confidence", "margin", "model_version")
    )
    settled = labels.filter(pl.col("task") == task, pl.col("source") == "review", pl.col("label") != CANNOT_TELL)
    truth = settled.select("interaction_id", truth="label")
    is_drawn = (pl.col("lot") == "audit") & (pl.col("part") == "estimate").fill_null(value=False)
    return (
        about.join(first, on="interaction_id")
        .join(truth, on="interaction_id", how="left")
        .with_columns(drawn=is_drawn, right=pl.when(is_drawn).then(pl.col("label") == pl.col("truth")))
        .drop("lot", "part", "truth")
        .sort("interaction_id")
    )


def count_response(served: pl.DataFrame, reviews: pl.DataFrame, *, task: str) -> Response:
    """Count what became of the drawn messages of ``served``.

    Args:
        served: ``served_answers``.
        reviews: REVIEWS table.
        task: which task.
    """
    drawn = served.filter("drawn").select("interaction_id", "right")
    said = reviews.filter(pl.col("task") == task).group_by("interaction_id").agg(
        unsure=(pl.col("label") == CANNOT_TELL).any(), skipped=(pl.col("unanswered") == "skipped").any()
    )  # fmt: skip
    missing = drawn.filter(pl.col("right").is_null()).join(said, on="interaction_id", how="left")
    unsure = missing.filter(pl.col("unsure").fill_null(value=False))
    rest = missing.join(unsure, on="interaction_id", how="anti")
    skipped = rest.filter(pl.col("skipped").fill_null(value=False)).height
    return Response(drawn.height, drawn.height - missing.height, unsure.height, skipped, rest.height - skipped)
