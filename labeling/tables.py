"""The schema of every table, in one place. All times are UTC with microseconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

TIME: Final = pl.Datetime("us", "UTC")


@dataclass(frozen=True)
class Table:
    """One table: its name, the columns that name a row, and its schema.

    ``key`` names a row: a second arrival of the same key changes nothing unless it is newer. ``newest`` is the
    column that says which of two rows with one key is newer; where it is empty, the first one stays.
    ``version`` is the schema's; a stored table of another version is migrated or refused, never guessed at.
    """

    name: str
    key: tuple[str, ...]
    schema: Mapping[str, Any] = field(hash=False)
    newest: str = ""
    version: int = 1

    def empty(self) -> pl.DataFrame:
        """Return a frame with this table's columns and no rows."""
        return pl.DataFrame(schema=pl.Schema(self.schema))

    def frame(self, rows: list[dict[str, Any]]) -> pl.DataFrame:
        """Return ``rows`` as a frame of this table; columns that a row lacks are null."""
        return pl.DataFrame(rows, schema=pl.Schema(self.schema), orient="row")


INTERACTIONS: Final = Table(
    "interactions",
    key=("interaction_id",),
    newest="updated_at",
    schema={
        "interaction_id": pl.String,
        "conversation_id": pl.String,
        "turn": pl.Int32,
        "occurred_at": TIME,
        "updated_at": TIME,
        "channel": pl.String,
        "language": pl.String,
        "customer_key": pl.String,
        "segment": pl.String,
        "text": pl.String,
        "handled_by": pl.String,
        "lot": pl.String,
        "part": pl.String,
    },
)
"""``lot`` is open or audit; ``part`` (calibrate, test, estimate) is null in the open lot."""

PREDICTIONS: Final = Table(
    "predictions",
    key=("interaction_id", "task", "model_version"),
    schema={
        "interaction_id": pl.String,
        "task": pl.String,
        "label": pl.String,
        "confidence": pl.Float64,
        "margin": pl.Float64,
        "model_version": pl.String,
        "shown": pl.Boolean,
        "handoff": pl.Boolean,
        "predicted_at": TIME,
    },
)
"""``margin`` is the likeliest label's probability less the second's, in [0, 1].

``handoff`` says that the release stepped aside."""

CORRECTIONS: Final = Table(
    "corrections",
    key=("correction_id",),
    newest="corrected_at",
    schema={
        "correction_id": pl.String,
        "interaction_id": pl.String,
        "task": pl.String,
        "label": pl.String,
        "previous_label": pl.String,
        "agent_id": pl.String,
        "corrected_at": TIME,
        "reason": pl.String,
    },
)

ESCALATIONS: Final = Table(
    "escalations",
    key=("escalation_id",),
    newest="closed_at",
    schema={
        "escalation_id": pl.String,
        "conversation_id": pl.String,
        "interaction_id": pl.String,
        "escalated_at": TIME,
        "trigger": pl.String,
        "needed": pl.Boolean,
        "resolved": pl.Boolean,
        "resolved_intent": pl.String,
        "first_contact": pl.Boolean,
        "reopened": pl.Boolean,
        "csat": pl.Int32,
        "handle_seconds": pl.Float64,
        "closed_at": TIME,
    },
)

REVIEWS: Final = Table(
    "reviews",
    key=("review_id", "task"),
    newest="answered_at",
    schema={
        "review_id": pl.String,
        "interaction_id": pl.String,
        "annotator_id": pl.String,
        "task": pl.String,
        "label": pl.String,
        "suggestion": pl.String,
        "blind": pl.Boolean,
        "answered_at": TIME,
        "lead_seconds": pl.Float64,
    },
)
"""One row per answer and task. ``suggestion`` is what the page proposed, null where the case went out blind."""

REVIEW_QUEUE: Final = Table(
    "review_queue",
    key=("case_id",),
    schema={
        "case_id": pl.String,
        "interaction_id": pl.String,
        "round": pl.String,
        "reason": pl.String,
        "score": pl.Float64,
        "pool_size": pl.Int64,
        "blind": pl.Boolean,
        "overlap": pl.Int32,
        "picked_at": TIME,
    },
)
"""``overlap`` is how many people should answer; ``pool_size`` the number of cases that this one was picked from."""

REVIEW_TASKS: Final = Table(
    "review_tasks",
    key=("case_id",),
    newest="sent_at",
    schema={
        "case_id": pl.String,
        "interaction_id": pl.String,
        "project_id": pl.String,
        "desk_task_id": pl.String,
        "sent_at": TIME,
    },
)

LABELS: Final = Table(
    "labels",
    key=("interaction_id", "task"),
    newest="settled_at",
    schema={
        "interaction_id": pl.String,
        "task": pl.String,
        "label": pl.String,
        "confidence": pl.Float64,
        "source": pl.String,
        "answer_ids": pl.List(pl.String),
        "settled_at": TIME,
    },
)
"""``source`` is review or correction; ``answer_ids`` name the reviews or the correction that made the label."""

FEATURES: Final = Table(
    "features",
    key=("encoder_digest", "text_digest"),
    schema={"encoder_digest": pl.String, "text_digest": pl.String, "feature": pl.List(pl.Float32)},
)

TRAINING_SETS: Final = Table(
    "training_sets",
    key=("training_set_id", "interaction_id"),
    schema={
        "training_set_id": pl.String,
        "task": pl.String,
        "interaction_id": pl.String,
        "label": pl.String,
        "weight": pl.Float64,
        "text_digest": pl.String,
        "split": pl.String,
        "frozen_at": TIME,
    },
)
"""``split`` is train or dev; ``weight`` is the label's confidence, in (0, 1]."""

QUARANTINE: Final = Table(
    "quarantine",
    key=("quarantine_id",),
    schema={
        "quarantine_id": pl.String,
        "table": pl.String,
        "source": pl.String,
        "position": pl.Int64,
        "reason_code": pl.String,
        "reason": pl.String,
        "row": pl.String,
        "row_digest": pl.String,
        "quarantined_at": TIME,
    },
)
"""``source`` and ``position`` (a line, from 1) point at the row; ``row`` is its redacted JSON,
null where it cannot be decoded."""

DELIVERIES: Final = Table(
    "deliveries",
    key=("table", "path", "digest"),
    schema={
        "table": pl.String,
        "path": pl.String,
        "digest": pl.String,
        "rows": pl.Int64,
        "stored": pl.Int64,
        "quarantined": pl.Int64,
        "collected_at": TIME,
    },
)
"""One row per source file that has been taken in whole; written last, so that a killed run takes it in again."""

TABLES: Final = (
    INTERACTIONS,
    PREDICTIONS,
    CORRECTIONS,
    ESCALATIONS,
    REVIEWS,
    REVIEW_QUEUE,
    REVIEW_TASKS,
    LABELS,
    FEATURES,
    TRAINING_SETS,
    QUARANTINE,
    DELIVERIES,
)
