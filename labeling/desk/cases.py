"""Between tables and the desk: cases made of queue rows, review rows made of answers."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from labeling import tables as t
from labeling.delta import Tables
from labeling.desk.desk import Answer, Case, Suggestion, Turn


def build_cases(tables: Tables, *, project: str, champion: str | None) -> list[Case]:
    """Return the queued cases that are not at the desk yet, in the order in which they should be read.

    Args:
        tables: the loop's tables.
        project: the desk's project now; unanswered cases that stand in another one, which was deleted, go again.
        champion: whose predictions become suggestions; None suggests nothing.

    A blind case carries no suggestion and no reason that would hint at one.
    """
    sent = tables.read(t.REVIEW_TASKS, columns=["case_id"], where=pl.col("project_id") == project)
    read = tables.read(t.REVIEWS, columns=["interaction_id"])
    queue = tables.read(t.REVIEW_QUEUE).join(sent, on="case_id", how="anti").join(read, on="interaction_id", how="anti")
    if queue.is_empty():
        return []
    said = _suggestions(tables, queue["interaction_id"], champion)
    told = _conversations(tables, queue["interaction_id"])
    return [
        _case(row, told[row["interaction_id"]], said.get(row["interaction_id"], {}))
        for row in queue.sort("score", "case_id", descending=[True, False]).iter_rows(named=True)
    ]


def review_rows(answers: Sequence[Answer]) -> pl.DataFrame:
    """Return the REVIEWS rows of what was answered; skips and refused labels make none."""
    rows = [
        {
            "review_id": answer.answer_id,
            "interaction_id": answer.interaction_id,
            "annotator_id": answer.annotator_id,
            "task": task,
            "label": label,
            "suggestion": answer.suggestions.get(task),
            "blind": answer.is_blind,
            "answered_at": answer.answered_at,
            "lead_seconds": answer.lead_seconds,
        }
        for answer in answers
        for task, label in answer.labels.items()
    ]
    return t.REVIEWS.frame(rows)


def _case(row: dict[str, Any], message: dict[str, Any], suggestions: dict[str, Suggestion]) -> Case:
    return Case(
        case_id=row["case_id"],
        interaction_id=row["interaction_id"],
        conversation=message["turns"],
        suggestions={} if row["blind"] else suggestions,
        context={name: message[name] for name in ("channel", "segment", "language") if message[name]},
        reason="audit" if row["blind"] else row["reason"],
        blind=row["blind"],
        overlap=row["overlap"],
    )


def _suggestions(tables: Tables, interactions: pl.Series, champion: str | None) -> dict[str, dict[str, Suggestion]]:
    mine = (pl.col("model_version") == (champion or "")) & pl.col("interaction_id").is_in(interactions.implode())
    found: dict[str, dict[str, Suggestion]] = {}
    for row in tables.read(t.PREDICTIONS, where=mine).iter_rows(named=True):
        found.setdefault(row["interaction_id"], {})[row["task"]] = Suggestion(row["label"], row["confidence"])
    return found


def _conversations(tables: Tables, interactions: pl.Series) -> dict[str, dict[str, Any]]:
    """Return, for each interaction, its row and ``turns``: its conversation up to and including it."""
    asked = tables.read(t.INTERACTIONS, where=pl.col("interaction_id").is_in(interactions.implode()))
    around = tables.read(t.INTERACTIONS, where=pl.col("conversation_id").is_in(asked["conversation_id"].implode()))
    lines: dict[str, list[tuple[int, str]]] = {}
    for row in around.sort("turn").iter_rows(named=True):
        lines.setdefault(row["conversation_id"], []).append((row["turn"], row["text"]))
    return {
        row["interaction_id"]: row
        | {
            "turns": tuple(
                Turn("customer", text) for turn, text in lines[row["conversation_id"]] if turn <= row["turn"]
            )
        }
        for row in asked.iter_rows(named=True)
    }
