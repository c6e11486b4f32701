"""Between tables and the desk: cases made of queue rows, review rows made of answers."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import polars as pl

from labeling import tables as t
from labeling.delta import Tables
from labeling.desk.desk import Answer, Case, Suggestion, Turn
from labeling.desk.history import find_handoffs, tell_histories
from labeling.digests import digest
from labeling.vocabulary import JUDGING

SKIPPED: Final = "skipped"

_ASKED_AGAIN: Final = ("gold", "label_error")
"""Reasons to ask again what was read before; the desk is not told them, so that such a case looks like any other."""

_READ_BEFORE: Final = (*_ASKED_AGAIN, JUDGING)
"""Reasons that stand though the interaction was read before."""


def build_cases(tables: Tables, *, project: str, champion: str | None, topic: str = "intent") -> list[Case]:
    """Return the queued cases that are not at the desk yet, in the order in which they should be read.

    Args:
        tables: the loop's tables.
        project: the desk's project now; unanswered cases that stand in another one, which was deleted, go again.
        champion: whose predictions become suggestions; None suggests nothing.
        topic: the task whose label says what an earlier conversation was about.

    A blind case carries no suggestion, no reason that would hint at one, and nothing of what happened to it.
    """
    queue = _unsent(tables, project)
    if queue.is_empty():
        return []
    asked = tables.read(t.INTERACTIONS, where=pl.col("interaction_id").is_in(queue["interaction_id"].implode()))
    said = _suggestions(tables, queue["interaction_id"], champion)
    differing = _differing_answers(tables, queue)
    turns = _conversations(tables, asked)
    histories = tell_histories(tables, asked, topic=topic)
    handoffs = find_handoffs(tables, asked)
    known = {
        row["interaction_id"]: row
        | {
            "turns": turns[row["interaction_id"]],
            "history": histories.get(row["interaction_id"], ()),
            "handed_off": handoffs.get(row["interaction_id"]),
        }
        for row in asked.iter_rows(named=True)
    }
    return [
        _case(row, known[row["interaction_id"]], said.get(row["interaction_id"], {}), differing.get(row["case_id"], {}))
        for row in _in_order(queue).iter_rows(named=True)
    ]


def _in_order(queue: pl.DataFrame) -> pl.DataFrame:
    """Put what has no score (the audit lot) first, and mix the reasons so that any first part has each one's share."""
    place = (pl.col("score").rank("ordinal", descending=True) - 0.5) / pl.len()
    return queue.sort("case_id").with_columns(_place=place.over("reason")).sort("_place", "case_id").drop("_place")


def _unsent(tables: Tables, project: str) -> pl.DataFrame:
    """Return the queued cases that neither stand in ``project`` nor were withdrawn nor have an answer."""
    state = pl.col("state").fill_null("sent")
    stands = (pl.col("project_id") == project) & (state == "sent") | (state == "withdrawn")
    sent = tables.read(t.REVIEW_TASKS, columns=["case_id"], where=stands)
    read = tables.read(t.REVIEWS, columns=["interaction_id", "case_id"], where=pl.col("unanswered").is_null())
    unnamed = read.filter(pl.col("case_id").is_null())
    is_read = pl.col("interaction_id").is_in(unnamed["interaction_id"].implode())
    return (
        tables.read(t.REVIEW_QUEUE)
        .join(sent, on="case_id", how="anti")
        .join(read.drop_nulls("case_id"), on="case_id", how="anti")
        .filter(~is_read | pl.col("reason").is_in(_READ_BEFORE))
    )


def review_rows(
    answers: Sequence[Answer], *, tasks: Sequence[str] = (), redact: Callable[[str], str] | None = None
) -> pl.DataFrame:
    """Return the REVIEWS rows of what was answered, one a task; refused labels make none.

    Args:
        answers: as the desk gave them.
        tasks: what a skip passed on: it makes one row a task, without a label.
        redact: takes personal data out of a note; None keeps no note.
    """
    return t.REVIEWS.frame([row for answer in answers for row in _rows(answer, tasks, redact)])


def _rows(answer: Answer, tasks: Sequence[str], redact: Callable[[str], str] | None) -> Iterator[dict[str, Any]]:
    labels: dict[str, str | None] = dict.fromkeys(tasks) if answer.is_skipped else dict(answer.labels)
    note = redact(answer.note) if redact and answer.note else None
    for task, label in labels.items():
        yield {
            "review_id": answer.answer_id,
            "interaction_id": answer.interaction_id,
            "annotator_id": answer.annotator_id,
            "task": task,
            "label": label,
            "suggestion": answer.suggestions.get(task),
            "blind": answer.is_blind,
            "answered_at": answer.answered_at,
            "lead_seconds": answer.lead_seconds,
            "case_id": answer.case_id,
            "second_label": answer.second_labels.get(task),
            "note": note,
            "unanswered": SKIPPED if answer.is_skipped else None,
        }
        note = None  # stands once, on the first task's row


def _case(
    row: dict[str, Any],
    message: dict[str, Any],
    suggestions: dict[str, Suggestion],
    answers: dict[str, tuple[str, ...]],
) -> Case:
    return Case(
        case_id=row["case_id"],
        interaction_id=row["interaction_id"],
        conversation=message["turns"],
        suggestions={} if row["blind"] else suggestions,
        context={name: message[name] for name in ("channel", "segment", "language") if message[name]},
        reason="audit" if row["blind"] else "uncertainty" if row["reason"] in _ASKED_AGAIN else row["reason"],
        blind=row["blind"],
        overlap=row["overlap"],
        history=message["history"],
        handed_off=None if row["blind"] else message["handed_off"],
        answers=answers,
    )


def _suggestions(tables: Tables, interactions: pl.Series, champion: str | None) -> dict[str, dict[str, Suggestion]]:
    mine = (pl.col("model_version") == (champion or "")) & pl.col("interaction_id").is_in(interactions.implode())
    found: dict[str, dict[str, Suggestion]] = {}
    for row in tables.read(t.PREDICTIONS, where=mine).iter_rows(named=True):
        found.setdefault(row["interaction_id"], {})[row["task"]] = Suggestion(row["label"], row["confidence"])
    return found


def _differing_answers(tables: Tables, queue: pl.DataFrame) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return for each judging case, by task, what the champion and the challenger (the case's frame) answer.

    Their order follows from the case's name, so that it tells nobody which is whose.
    """
    judged = queue.filter(pl.col("reason") == JUDGING).select("case_id", "interaction_id", "champion", "frame")
    if judged.is_empty():
        return {}
    asked = pl.col("interaction_id").is_in(judged["interaction_id"].implode())
    said = tables.read(t.PREDICTIONS, columns=["interaction_id", "task", "label", "model_version"], where=asked)
    of_both = judged.join(said, on="interaction_id").filter(
        (pl.col("model_version") == pl.col("champion")) | (pl.col("model_version") == pl.col("frame"))
    )
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    grouped = of_both.group_by("case_id", "task").agg(pl.col("label").unique()).filter(pl.col("label").list.len() == 2)
    for case_id, task, labels in grouped.sort("case_id", "task").iter_rows():
        found.setdefault(case_id, {})[task] = tuple(sorted(labels, key=lambda label: digest([case_id, label])))
    return found


def _conversations(tables: Tables, asked: pl.DataFrame) -> dict[str, tuple[Turn, ...]]:
    """Return, for each interaction asked about, its conversation up to and including it."""
    around = tables.read(t.INTERACTIONS, where=pl.col("conversation_id").is_in(asked["conversation_id"].implode()))
    lines: dict[str, list[tuple[int, str]]] = {}
    for row in around.sort("turn").iter_rows(named=True):
        lines.setdefault(row["conversation_id"], []).append((row["turn"], row["text"]))
    return {
        row["interaction_id"]: tuple(
            Turn("customer", text) for turn, text in lines[row["conversation_id"]] if turn <= row["turn"]
        )
        for row in asked.iter_rows(named=True)
    }
