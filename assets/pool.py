"""The review pool: what models, agents, outcomes and people say of each interaction, joined to choose from."""

from typing import Final

import polars as pl

from labeling import tables as t
from labeling.delta import Tables
from labeling.selection.disagreement import measure_disagreement
from labeling.selection.gate_requests import SLICES, count_needed, match_requests
from labeling.selection.handoff import measure_handoff_failures
from labeling.selection.pool import LABELLED, WAITING
from labeling.selection.stale import withdrawn_cases
from labeling.taxonomy import Taxonomy
from labeling.vocabulary import CANNOT_TELL, NONE_OF_THESE

_AGREEING: Final = 2
_SURE: Final = 0.9
"""A label is gold when so many people gave it, none another, and it is as sure as this."""


def read_waiting(
    tables: Tables, *, taxonomy: Taxonomy, champion: str | None, previous: str | None
) -> tuple[pl.DataFrame, tuple[int, ...]]:
    """Return what nobody was asked about, and how many cases each gate request that it serves still lacks.

    Args:
        tables: the loop's tables.
        taxonomy: what labels of older versions are called now; the predicted labels of its first task are capped.
        champion: the version whose predictions rank the pool; None before the first one.
        previous: the champion before it, None where there was none.

    Returns:
        Rows of the columns ``WAITING`` and ``text``, by ``interaction_id``; one number a place of ``request``.
    """
    queue, gone = _read_queue(tables)
    asked = [
        queue.join(gone, on="case_id", how="anti").select("interaction_id"),
        tables.read(t.LABELS, columns=["interaction_id"], where=pl.col("source") == "review"),
    ]
    texts = tables.read(t.INTERACTIONS, columns=["interaction_id", "lot", "text"])
    waiting = texts.join(pl.concat(asked), on="interaction_id", how="anti")
    said = taxonomy.translate(_read_predictions(tables, champion, previous))
    mine = said.filter(pl.col("model_version") == (champion or ""))
    corrections = taxonomy.translate(tables.read(t.CORRECTIONS, columns=["interaction_id", "task", "label"]))
    requests, needed = _match_requests(tables, queue, mine)
    reasons = [
        mine.group_by("interaction_id").agg(pl.col("margin").min()),
        mine.filter(pl.col("task") == taxonomy.tasks[0].name).select("interaction_id", predicted="label"),
        measure_disagreement(said, corrections, champion=champion, previous=previous),
        _handoff_failures(tables),
        requests,
        gone.group_by("interaction_id").agg(withdrawn=pl.len().cast(pl.Int32)),
    ]
    for reason in reasons:
        waiting = waiting.join(reason, on="interaction_id", how="left")
    named = waiting.with_columns(pl.col("withdrawn").fill_null(0), copy_key=pl.col("text").hash())
    return named.select(*WAITING, "text").cast(pl.Schema(WAITING)).sort("interaction_id"), needed


def read_labelled(tables: Tables, *, taxonomy: Taxonomy) -> pl.DataFrame:
    """Return the open lot's interactions whose label of the first task people gave in reviews.

    The audit lot is left out: what is chosen to train on must not depend on what measures it. A label that the
    taxonomy lacks is left out too.

    Returns:
        Rows of the columns ``LABELLED`` and ``text``, by ``interaction_id``.
    """
    where = pl.col("source") == "review"
    columns = ["interaction_id", "task", "label", "confidence", "suspicion"]
    settled, task = taxonomy.translate(tables.read(t.LABELS, columns=columns, where=where)), taxonomy.tasks[0]
    numbers = dict(zip(task.label_names, range(len(task.labels)), strict=True)) | {NONE_OF_THESE: -1}
    mine = settled.filter(pl.col("task") == task.name).with_columns(
        target=pl.col("label").replace_strict(numbers, default=None, return_dtype=pl.Int32)
    )
    doubted = settled.group_by("interaction_id").agg(pl.col("suspicion").max())
    queue = tables.read(t.REVIEW_QUEUE, columns=["interaction_id", "reason"])
    again = queue.filter(pl.col("reason") == "label_error").select("interaction_id", asked_again=True).unique()
    gold = queue.filter(pl.col("reason") == "gold").group_by("interaction_id").agg(gold_asked=pl.len().cast(pl.Int32))
    texts = tables.read(t.INTERACTIONS, columns=["interaction_id", "text"], where=pl.col("lot") == "open")
    rows = (
        mine.drop_nulls("target")
        .select("interaction_id", "target", "label", "confidence")
        .join(texts, on="interaction_id")
    )
    for found in (doubted, again, gold, _agreed(tables, taxonomy)):
        rows = rows.join(found, on="interaction_id", how="left")
    return (
        rows.with_columns(
            suspicion=pl.when(pl.col("asked_again").is_null()).then("suspicion"),
            is_gold=(pl.col("agreed") == pl.col("label")).fill_null(value=False) & (pl.col("confidence") >= _SURE),
            gold_asked=pl.col("gold_asked").fill_null(0),
        )
        .select(*LABELLED, "text")
        .cast(pl.Schema(LABELLED))
        .sort("interaction_id")
    )


def read_asked(tables: Tables, *, labelled: pl.DataFrame) -> pl.Series:
    """Return the texts of the open lot whose case stands and that have no label yet, by ``interaction_id``.

    Args:
        tables: the loop's tables.
        labelled: of ``read_labelled``.
    """
    queue, gone = _read_queue(tables)
    standing = queue.join(gone, on="case_id", how="anti").join(labelled, on="interaction_id", how="anti")
    texts = tables.read(t.INTERACTIONS, columns=["interaction_id", "text"], where=pl.col("lot") == "open")
    return texts.join(standing, on="interaction_id", how="semi").sort("interaction_id")["text"]


def _read_queue(tables: Tables) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return all cases, and those of them that were withdrawn unanswered."""
    queue = tables.read(t.REVIEW_QUEUE, columns=["case_id", "interaction_id", "reason", "picked_at"])
    return queue, queue.join(withdrawn_cases(tables.read(t.REVIEW_TASKS, columns=["case_id", "state"])), on="case_id")


def _read_predictions(tables: Tables, *versions: str | None) -> pl.DataFrame:
    columns = ["interaction_id", "task", "label", "confidence", "margin", "model_version"]
    known = [version for version in versions if version is not None]
    return tables.read(t.PREDICTIONS, columns=columns, where=pl.col("model_version").is_in(known))


def _handoff_failures(tables: Tables) -> pl.DataFrame:
    ended = tables.read(t.ESCALATIONS, columns=["interaction_id", "trigger", "needed", "csat", "reopened"])
    escalated = pl.col("interaction_id").is_in(ended["interaction_id"].drop_nulls().unique().implode())
    handled = tables.read(t.INTERACTIONS, columns=["interaction_id", "handled_by"], where=escalated)
    return measure_handoff_failures(ended, handled)


def _match_requests(tables: Tables, queue: pl.DataFrame, said: pl.DataFrame) -> tuple[pl.DataFrame, tuple[int, ...]]:
    """Return ``interaction_id, request`` (the oldest request that it serves) and what each request still lacks."""
    asked = tables.read(t.GATE_REQUESTS, where=pl.col("is_open"))
    if asked.is_empty():
        return pl.DataFrame(schema={"interaction_id": pl.String, "request": pl.Int32}), ()
    named = [name for name in SLICES if name in set(asked["slice"])]
    fitting = match_requests(asked, tables.read(t.INTERACTIONS, columns=["interaction_id", *named]), said)
    picked = queue.filter(pl.col("reason") == "gate_request").join(fitting, on="interaction_id")
    served = picked.join(asked.select("request_id", "asked_at"), on="request_id")
    left = count_needed(asked, served.filter(pl.col("picked_at") >= pl.col("asked_at")))
    places = left.with_row_index("request").select("request_id", pl.col("request").cast(pl.Int32))
    oldest = fitting.join(places, on="request_id").group_by("interaction_id").agg(pl.col("request").min())
    return oldest, tuple(left["needed"])


def _agreed(tables: Tables, taxonomy: Taxonomy) -> pl.DataFrame:
    """Return ``interaction_id, agreed``: the label that at least two people gave and nobody another."""
    answers = tables.read(
        t.REVIEWS,
        columns=["interaction_id", "annotator_id", "task", "label"],
        where=(pl.col("task") == taxonomy.tasks[0].name) & pl.col("label").is_not_null(),
    )
    known = taxonomy.translate(answers).filter(pl.col("label") != CANNOT_TELL)
    told = known.group_by("interaction_id").agg(
        people=pl.col("annotator_id").n_unique(), labels=pl.col("label").n_unique(), agreed=pl.first("label")
    )
    return told.filter(pl.col("people") >= _AGREEING, pl.col("labels") == 1).select("interaction_id", "agreed")
