"""What a customer wrote about before, and how it ended: from the tables, by the customer's keyed digest."""

from datetime import datetime
from typing import Final

import polars as pl
from pydantic import Field

from labeling import tables as t
from labeling.config import Config
from labeling.delta import Tables
from labeling.desk.history import read_conversations
from labeling.taxonomy import Taxonomy

_RECENT: Final = 5


class PastConversation(Config):
    """One earlier conversation: when it began (UTC), where, what people say it was about, and how it ended.

    ``outcome`` is resolved, not resolved or reopened; None where no person took it over or nobody said.
    """

    began_at: datetime
    channel: str | None
    intent: str | None
    outcome: str | None


class CustomerHistory(Config):
    """What is known of a customer before this conversation.

    Attributes:
        conversations: how many earlier ones there are.
        since: when the first of them began (UTC); None where there is none.
        escalations: how many of them went to a person.
        unresolved: how many of those were not resolved, or came back.
        csat: the mean of what the customer said of them, 1 to 5; None where never.
        recent: the last five, the newest first.
    """

    conversations: int = Field(ge=0)
    since: datetime | None = None
    escalations: int = Field(default=0, ge=0)
    unresolved: int = Field(default=0, ge=0)
    csat: float | None = None
    recent: tuple[PastConversation, ...] = ()


def read_history(
    tables: Tables, customer_key: str, *, taxonomy: Taxonomy, before: datetime, but: str | None = None
) -> CustomerHistory:
    """Return what the tables hold of a customer.

    Args:
        tables: the loop's.
        customer_key: keyed digest, as INTERACTIONS has it.
        taxonomy: what labels of older versions are called now.
        before: conversations that began later are left out.
        but: the conversation at hand, which is no history.

    Raises:
        StorageError: a table cannot be read.
    """
    columns = ["interaction_id", "conversation_id", "customer_key", "occurred_at", "channel", "turn"]
    mine = (pl.col("customer_key") == customer_key) & (pl.col("occurred_at") < before)
    said = tables.read(t.INTERACTIONS, columns=columns, where=mine).sort("turn")
    said = said.filter(pl.col("conversation_id").ne_missing(but))
    if said.is_empty():
        return CustomerHistory(conversations=0)
    topic = taxonomy.tasks[0].name
    talks = read_conversations(tables, said, topic).sort("began_at", "conversation_id", descending=True)
    asked = pl.col("conversation_id").is_in(talks["conversation_id"].implode())
    ended = tables.read(t.ESCALATIONS, columns=["conversation_id", "resolved", "reopened", "csat"], where=asked)
    failed = ~pl.col("resolved") | pl.col("reopened").fill_null(value=False)
    csat = ended["csat"].mean()
    return CustomerHistory(
        conversations=talks.height,
        since=talks["began_at"][-1],
        escalations=ended["conversation_id"].n_unique(),
        unresolved=ended.filter(failed)["conversation_id"].n_unique(),
        csat=float(csat) if isinstance(csat, int | float) else None,
        recent=tuple(
            PastConversation(
                began_at=began_at,
                channel=channel,
                intent=taxonomy.current(topic, label) if label else None,
                outcome=outcome,
            )
            for began_at, channel, label, outcome in talks.head(_RECENT)
            .select("began_at", "channel", "label", "outcome")
            .iter_rows()
        ),
    )
