"""What is known around a message beside its conversation: the customer's earlier ones, and who answered this one."""

from typing import Any, Final

import polars as pl

from labeling import tables as t
from labeling.delta import Tables
from labeling.vocabulary import CANNOT_TELL, SILENCE

_LINES: Final = 5


def tell_histories(tables: Tables, asked: pl.DataFrame, *, topic: str) -> dict[str, tuple[str, ...]]:
    """Return, for each interaction that has any, lines about its customer's earlier conversations, the newest first.

    A line says when a conversation began, on which channel, what people said it was about, and how it ended; nothing
    of it is a model's word. At most five lines.

    Args:
        tables: the loop's tables.
        asked: INTERACTIONS rows.
        topic: the task whose label says what a conversation was about.
    """
    customers = asked["customer_key"].drop_nulls().unique()
    if customers.is_empty():
        return {}
    columns = ["interaction_id", "conversation_id", "customer_key", "occurred_at", "channel", "turn"]
    told = tables.read(t.INTERACTIONS, columns=columns, where=pl.col("customer_key").is_in(customers.implode()))
    earlier = read_conversations(tables, told.sort("turn"), topic)
    found = (
        asked.select("interaction_id", "conversation_id", "customer_key", asked_at="occurred_at")
        .join(earlier, on="customer_key", suffix="_earlier")
        .filter(pl.col("conversation_id") != pl.col("conversation_id_earlier"), pl.col("began_at") < pl.col("asked_at"))
        .sort("began_at", "conversation_id_earlier", descending=[True, False])
        .group_by("interaction_id", maintain_order=True)
        .agg(pl.struct("began_at", "channel", "label", "outcome").head(_LINES).alias("lines"))
    )
    return {name: tuple(_line(one) for one in lines) for name, lines in found.iter_rows()}


def read_conversations(tables: Tables, told: pl.DataFrame, topic: str) -> pl.DataFrame:
    """Return one row a conversation: customer_key, began_at, channel, label and outcome (null where unknown)."""
    known = (pl.col("source").ne_missing(SILENCE)) & (pl.col("label") != CANNOT_TELL)
    mine = known & (pl.col("task") == topic) & pl.col("interaction_id").is_in(told["interaction_id"].implode())
    labels = tables.read(t.LABELS, columns=["interaction_id", "label"], where=mine)
    return (
        told.join(labels, on="interaction_id", how="left", maintain_order="left")
        .group_by("conversation_id", "customer_key")
        .agg(pl.col("occurred_at").min().alias("began_at"), pl.col("channel").first(), _first("label"))
        .join(_outcomes(tables, told["conversation_id"].unique()), on="conversation_id", how="left")
    )


def _outcomes(tables: Tables, conversations: pl.Series) -> pl.DataFrame:
    """Return conversation_id and how it ended, of those that went to a person."""
    mine = pl.col("conversation_id").is_in(conversations.implode())
    columns = ["conversation_id", "closed_at", "resolved", "reopened"]
    resolved = pl.when(pl.col("resolved")).then(pl.lit("resolved")).otherwise(pl.lit("not resolved"))
    outcome = pl.when(pl.col("reopened")).then(pl.lit("reopened")).when(pl.col("resolved").is_not_null()).then(resolved)
    found = tables.read(t.ESCALATIONS, columns=columns, where=mine).sort("closed_at", descending=True)
    return found.group_by("conversation_id", maintain_order=True).agg(outcome.first().alias("outcome"))


def _first(column: str) -> pl.Expr:
    return pl.col(column).drop_nulls().first()


def _line(known: dict[str, Any]) -> str:
    words = [word for word in (known["label"], known["outcome"]) if word]
    return f"{known['began_at']:%Y-%m-%d} {known['channel'] or 'message'}: {', '.join(words) or 'not labelled'}"


def find_handoffs(tables: Tables, asked: pl.DataFrame) -> dict[str, bool]:
    """Return, for each interaction of which it is known, whether a person took it over.

    In turn: it was escalated; the release whose answer was shown stepped aside or not; who answered it.
    """
    mine = pl.col("interaction_id").is_in(asked["interaction_id"].implode())
    escalated = tables.read(t.ESCALATIONS, columns=["interaction_id"], where=mine)["interaction_id"]
    shown = tables.read(t.PREDICTIONS, columns=["interaction_id", "handoff", "shown"], where=mine)
    served = shown.filter(pl.col("shown")).drop_nulls("handoff").group_by("interaction_id").agg(pl.col("handoff").any())
    handled = asked.filter(pl.col("handled_by").is_in(["ai", "agent"]))
    found = dict(handled.select("interaction_id", pl.col("handled_by") == "agent").iter_rows())
    return found | dict(served.iter_rows()) | dict.fromkeys(escalated, True)
