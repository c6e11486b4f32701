"""The schema of every table, in one place. All times are UTC with microseconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import polars as pl

TIME: Final = pl.Datetime("us", "UTC")

TEXT_LIMIT: Final = 20_000
"""Characters of the longest text that is stored."""
FIELD_LIMIT: Final = 200
"""Characters of the longest id, and of any other string that is no text."""
CLOCK_TOLERANCE: Final = timedelta(minutes=5)
"""How far another machine's clock may run ahead of ours."""


@dataclass(frozen=True)
class Table:
    """One table: its name, the columns that name a row, and its schema.

    ``key`` names a row: a second arrival of the same key changes nothing unless it is newer. ``newest`` is the
    column that says which of two rows with one key is newer, and of two rows of one age their content decides; where it
    is empty, the first one stays. ``partition`` is the time column whose ISO week at a row's first arrival says in
    which part of the stored table the row stays; empty for a table in one part.
    ``version`` is the schema's. A stored table of an older version is read as if migrated and migrated by the first
    write: ``renamed`` maps new names to old ones, other columns keep their name, and what is missing is null. A newer
    version is refused.
    """

    name: str
    key: tuple[str, ...]
    schema: Mapping[str, Any] = field(hash=False)
    newest: str = ""
    partition: str = ""
    version: int = 1
    renamed: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def event_time(self) -> str:
        """The column that says when an event happened."""
        return next(column for column, kind in self.schema.items() if kind == TIME)

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
    partition="occurred_at",
    version=2,
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
    newest="predicted_at",
    partition="predicted_at",
    version=2,
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
    partition="corrected_at",
    version=2,
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
    partition="escalated_at",
    version=3,
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
        "solved_by": pl.String,
    },
)
"""``solved_by`` is the helpdesk's code for what the agent did in the end (``refund_issued``), null where none is
kept."""

CONTEXT_FEEDBACK: Final = Table(
    "context_feedback",
    key=("feedback_id", "missing"),
    newest="given_at",
    partition="given_at",
    schema={
        "feedback_id": pl.String,
        "interaction_id": pl.String,
        "agent_id": pl.String,
        "given_at": TIME,
        "helped": pl.String,
        "missing": pl.String,
        "note": pl.String,
    },
)
"""What an agent who took a conversation over says of the context package: one row a part that was ``missing``.

``missing`` is one of PACKAGE_PARTS, or "nothing"; ``helped`` (helped, hindered, neither) is of the AI up to there and
the same in all rows of one feedback; ``note`` is redacted and may be null."""

CANDIDATE_INTENTS: Final = Table(
    "candidate_intents",
    key=("candidate_id", "interaction_id"),
    newest="changed_at",
    schema={
        "candidate_id": pl.String,
        "interaction_id": pl.String,
        "place": pl.Int32,
        "state": pl.String,
        "label": pl.String,
        "decided_by": pl.String,
        "found_at": TIME,
        "changed_at": TIME,
    },
)
"""Messages outside every label that lie together: one row a message of a candidate for a new intent.

``place`` is 1 for the most typical message, null where it does not lie there any more. ``state`` is open, accepted (as
``label``) or dismissed, the same in all rows of a candidate; ``decided_by`` is who said so, ``found_at`` when the
candidate was first seen."""

REVIEWS: Final = Table(
    "reviews",
    key=("review_id", "task"),
    newest="answered_at",
    partition="answered_at",
    version=3,
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
        "case_id": pl.String,
        "second_label": pl.String,
        "note": pl.String,
        "unanswered": pl.String,
    },
)
"""One row per answer and task. ``suggestion`` is what the page proposed, null where the case went out blind.

``unanswered`` says why there is no ``label``: skipped, or withdrawn (deleted at the desk); null where there is one.
``second_label`` is a second intent of the same message; ``note`` is redacted and stands on the first task's row."""

REVIEW_QUEUE: Final = Table(
    "review_queue",
    key=("case_id",),
    version=2,
    renamed={"frame_size": "pool_size"},
    schema={
        "case_id": pl.String,
        "interaction_id": pl.String,
        "round": pl.String,
        "reason": pl.String,
        "score": pl.Float64,
        "frame": pl.String,
        "frame_size": pl.Int64,
        "champion": pl.String,
        "blind": pl.Boolean,
        "gold": pl.Boolean,
        "overlap": pl.Int32,
        "picked_at": TIME,
    },
)
"""``overlap`` is how many people should answer at first; ``frame`` names what the case was picked from, ``frame_size``
how many that were; ``champion`` is the version whose predictions ranked it. A ``gold`` case asks again what is known
well, to measure the person; null reads as false."""

REVIEW_TASKS: Final = Table(
    "review_tasks",
    key=("case_id",),
    newest="changed_at",
    version=2,
    schema={
        "case_id": pl.String,
        "interaction_id": pl.String,
        "project_id": pl.String,
        "desk_task_id": pl.String,
        "sent_at": TIME,
        "state": pl.String,
        "overlap": pl.Int32,
        "changed_at": TIME,
    },
)
"""Where a case stands: ``state`` is sending, sent or withdrawn (null reads as sent); ``overlap`` is how many answers
are asked for now, raised by a skip or a disagreement."""

LABELS: Final = Table(
    "labels",
    key=("interaction_id", "task"),
    newest="settled_at",
    version=2,
    schema={
        "interaction_id": pl.String,
        "task": pl.String,
        "label": pl.String,
        "confidence": pl.Float64,
        "source": pl.String,
        "answer_ids": pl.List(pl.String),
        "settled_at": TIME,
        "suspicion": pl.Float64,
    },
)
"""``source`` is review, correction or silence, which has no answers and trains nothing.

``answer_ids`` name the answers that made the label. ``suspicion`` in [0, 1] is how likely the label is an error to a
model that did not learn it; null where unknown."""

ANNOTATORS: Final = Table(
    "annotators",
    key=("annotator_id", "task"),
    newest="measured_at",
    schema={
        "annotator_id": pl.String,
        "task": pl.String,
        "answers": pl.Int64,
        "overlapping": pl.Int64,
        "gold_seen": pl.Int64,
        "skill": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "measured_at": TIME,
    },
)
"""How far each annotator is believed: ``skill`` in (0, 1) with its 95% interval, from answers that others gave too."""

GATE_REQUESTS: Final = Table(
    "gate_requests",
    key=("request_id",),
    newest="changed_at",
    schema={
        "request_id": pl.String,
        "task": pl.String,
        "slice": pl.String,
        "value": pl.String,
        "cases_needed": pl.Int64,
        "asked_at": TIME,
        "changed_at": TIME,
        "is_open": pl.Boolean,
    },
)
"""Cases that a gate lacked: of ``task``, where ``slice`` (label, channel, language, segment) is ``value``."""

FEATURES: Final = Table(
    "features",
    key=("encoder_digest", "text_digest"),
    schema={"encoder_digest": pl.String, "text_digest": pl.String, "feature": pl.List(pl.Float32)},
)

TRAINING_SETS: Final = Table(
    "training_sets",
    key=("training_set_id", "interaction_id"),
    version=2,
    schema={
        "training_set_id": pl.String,
        "task": pl.String,
        "interaction_id": pl.String,
        "label": pl.String,
        "weight": pl.Float64,
        "text_digest": pl.String,
        "split": pl.String,
        "frozen_at": TIME,
        "group_digest": pl.String,
    },
)
"""``split`` is train or dev; ``weight`` is the label's confidence, in (0, 1]. ``group_digest`` is the same for rows
that belong together (copies, a conversation, a customer): the least text digest among them; null where a set is older
than this column."""

PARKED: Final = Table(
    "parked",
    key=("table", "event_id"),
    newest="changed_at",
    schema={
        "table": pl.String,
        "event_id": pl.String,
        "interaction_id": pl.String,
        "changed_at": TIME,
        "row": pl.String,
        "source": pl.String,
        "origin": pl.String,
        "position": pl.Int64,
        "parked_at": TIME,
    },
)
"""Events of ``table`` whose interaction has not come yet; ``row`` is the event as JSON, redacted."""

QUARANTINE: Final = Table(
    "quarantine",
    key=("quarantine_id",),
    newest="quarantined_at",
    schema={
        "quarantine_id": pl.String,
        "table": pl.String,
        "source": pl.String,
        "origin": pl.String,
        "position": pl.Int64,
        "reason_code": pl.String,
        "reason": pl.String,
        "interaction_id": pl.String,
        "customer_key": pl.String,
        "row": pl.String,
        "row_digest": pl.String,
        "quarantined_at": TIME,
    },
    version=2,
    renamed={"origin": "source"},
)
"""``source``, ``origin`` and ``position`` (from 1) point at the row; ``row`` is the source's row as redacted JSON, null
where it cannot be decoded or is too long."""

DELIVERIES: Final = Table(
    "deliveries",
    key=("source", "table", "origin", "version", "collected_at"),
    schema={
        "source": pl.String,
        "table": pl.String,
        "origin": pl.String,
        "version": pl.String,
        "rows": pl.Int64,
        "stored": pl.Int64,
        "parked": pl.Int64,
        "quarantined": pl.Int64,
        "newest_at": TIME,
        "collected_at": TIME,
    },
    version=2,
    renamed={"origin": "path", "version": "digest"},
)
"""One row per table and part of a source that was taken in; ``newest_at`` is the time of its newest event."""

ERASURES: Final = Table(
    "erasures",
    key=("kind", "digest"),
    schema={"kind": pl.String, "digest": pl.String, "receipt": pl.String, "erased_at": TIME},
)
"""Who and what was erased, so that it does not come back: ``kind`` is customer or interaction, ``digest`` is keyed."""

NOTICES: Final = Table(
    "notices",
    key=("notice_id",),
    newest="changed_at",
    schema={
        "notice_id": pl.String,
        "channel": pl.String,
        "entry": pl.Int64,
        "kind": pl.String,
        "state": pl.String,
        "attempts": pl.Int64,
        "fault": pl.String,
        "changed_at": TIME,
        "retry_at": TIME,
    },
)
"""How far each ledger entry that people are told of has come on each channel: ``state`` is sent, waiting or dead.

``fault`` is why the last attempt failed. The one row of a channel that is ``begun`` names the entry after which the
channel began."""

LEDGER: Final = Table(
    "ledger",
    key=("number",),
    schema={
        "number": pl.Int64,
        "kind": pl.String,
        "occurred_at": TIME,
        "version": pl.String,
        "reviewer": pl.String,
        "body": pl.String,
        "previous": pl.String,
        "digest": pl.String,
    },
)
"""A copy of the ledger's entries, for reading: ``body`` is JSON; ``version`` of the release and ``reviewer`` are in it,
null where an entry names none."""

TABLES: Final = (
    INTERACTIONS,
    PREDICTIONS,
    CORRECTIONS,
    ESCALATIONS,
    CONTEXT_FEEDBACK,
    CANDIDATE_INTENTS,
    REVIEWS,
    REVIEW_QUEUE,
    REVIEW_TASKS,
    LABELS,
    ANNOTATORS,
    GATE_REQUESTS,
    FEATURES,
    TRAINING_SETS,
    PARKED,
    QUARANTINE,
    DELIVERIES,
    ERASURES,
    NOTICES,
    LEDGER,
)
