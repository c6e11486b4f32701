"""What the tables hold of people and interactions, how much of it, and how all of it goes.

Rows are found by the ids of interactions, and by keyed digests where an earlier, interrupted erasure has already taken
the rows away that held the ids. Nothing here refuses anyone's return: see ``labeling.sources.erased``.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from labeling import tables as t
from labeling.delta import Tables
from labeling.sources.erased import CONVERSATION, CUSTOMER, INTERACTION, conversation_digest, interaction_digest
from labeling.sources.quarantine import PAST_RETENTION
from labeling.sources.records import POSITION
from labeling.sources.refusals import Sifted, refuse

ORDER: Final = (
    t.REVIEW_QUEUE,
    t.INTERACTIONS,
    t.REVIEW_TASKS,
    t.REVIEWS,
    t.CORRECTIONS,
    t.LABELS,
    t.PREDICTIONS,
    t.ESCALATIONS,
    t.CONTEXT_FEEDBACK,
    t.CANDIDATE_INTENTS,
    t.PARKED,
    t.QUARANTINE,
    t.FEATURES,
)
"""The tables that lose rows, in the order in which they lose them: what others are made of goes first, so that no job
makes anew what has gone. TRAINING_SETS keeps ids and digests; it holds no text."""

_WITH_INTERACTIONS: Final = (*(table for table in ORDER if table != t.FEATURES), t.TRAINING_SETS)


@dataclass(frozen=True)
class Traces:
    """What stands in the tables of those who go.

    Attributes:
        customers: keys (keyed digests of ids), never ids.
        interactions: ids.
        conversations: ids of those that have no other interaction.
        texts: keyed digests of the texts that no other interaction has.
        cases: ids of the cases that were made of the interactions.
        neighbours: ids of cases of other interactions whose page shows one of these in its dialogue.
    """

    customers: frozenset[str] = frozenset()
    interactions: frozenset[str] = frozenset()
    conversations: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()
    cases: frozenset[str] = frozenset()
    neighbours: frozenset[str] = frozenset()

    def __or__(self, other: "Traces") -> "Traces":
        """Return what is in either."""
        return Traces(*(getattr(self, field.name) | getattr(other, field.name) for field in fields(self)))


@dataclass(frozen=True)
class Digests:
    """``Traces`` as they may be kept: keyed digests of interactions and conversations in the place of ids."""

    customers: frozenset[str]
    interactions: frozenset[str]
    conversations: frozenset[str]


def find_traces(
    tables: Tables,
    *,
    customers: Iterable[str] = (),
    interactions: Iterable[str] = (),
    digest_text: Callable[[str], str],
) -> Traces:
    """Return what the tables hold of ``customers`` (keys) and ``interactions`` (ids).

    A customer's interactions are those of their key, in quarantine too.

    Args:
        tables: the loop's.
        customers: keyed digests, as in ``customer_key``.
        interactions: ids.
        digest_text: what names a text in FEATURES.
    """
    keys, named = frozenset(customers), set(interactions)
    for table in (t.INTERACTIONS, t.QUARANTINE) if keys else ():
        theirs = tables.read(table, columns=["interaction_id"], where=_among("customer_key", keys))
        named.update(theirs["interaction_id"].drop_nulls())
    columns = ["interaction_id", "conversation_id", "turn", "text"]
    rows = tables.read(t.INTERACTIONS, columns=columns, where=_among("interaction_id", named))
    around = tables.read(
        t.INTERACTIONS, columns=columns[:3], where=_among("conversation_id", rows["conversation_id"].drop_nulls())
    )
    others = around.filter(~_among("interaction_id", named))
    shared = tables.read(
        t.INTERACTIONS,
        columns=["text"],
        where=_among("text", rows["text"].drop_nulls()) & ~_among("interaction_id", named),
    )
    return Traces(
        customers=keys,
        interactions=frozenset(named),
        conversations=frozenset(rows["conversation_id"].drop_nulls()) - set(others["conversation_id"]),
        texts=frozenset(digest_text(text) for text in set(rows["text"].drop_nulls()) - set(shared["text"])),
        cases=_cases_of(tables, named),
        neighbours=_cases_of(tables, _later(others, rows)),
    )


def find_again(tables: Tables, digests: Digests, *, key: bytes) -> Traces:
    """Return the traces whose keyed digests are known, where the rows that told whose they are have gone already.

    Costs a digest an id that is stored.
    """
    if not digests.interactions and not digests.conversations:
        return Traces(customers=digests.customers)
    stored = pl.concat([tables.read(table, columns=["interaction_id"]) for table in _WITH_INTERACTIONS])
    talks = tables.read(t.ESCALATIONS, columns=["conversation_id"])["conversation_id"].drop_nulls().unique()
    named = {
        name
        for name in stored["interaction_id"].drop_nulls().unique()
        if interaction_digest(key, name) in digests.interactions
    }
    return Traces(
        customers=digests.customers,
        interactions=frozenset(named),
        conversations=frozenset(name for name in talks if conversation_digest(key, name) in digests.conversations),
        cases=_cases_of(tables, named),
    )


def digest_traces(traces: Traces, *, key: bytes) -> Digests:
    """Return the keyed digests of ``traces``."""
    return Digests(
        traces.customers,
        frozenset(interaction_digest(key, name) for name in traces.interactions),
        frozenset(conversation_digest(key, name) for name in traces.conversations),
    )


def count_rows(tables: Tables, traces: Traces) -> dict[str, int]:
    """Return how many rows of each table would go; tables without any are left out."""
    found = {}
    for table in ORDER:
        where = _where(table, traces)
        found[table.name] = 0 if where is None else tables.read(table, columns=[table.key[0]], where=where).height
    return {name: rows for name, rows in found.items() if rows}


def delete_rows(tables: Tables, table: t.Table, traces: Traces) -> int:
    """Delete the rows of ``table``; return how many there were.

    With REVIEW_TASKS go those of the neighbours: where nobody has read them they are sent again, as they are now.
    """
    where = _where(table, replace(traces, cases=traces.cases | traces.neighbours))
    return 0 if where is None else tables.delete(table, where)


def refuse_return(tables: Tables, digests: Digests, *, receipt: str, now: datetime) -> int:
    """Write who and what was erased, so that it does not come back; return how many of them were not known before."""
    by_kind = {
        CUSTOMER: digests.customers,
        INTERACTION: digests.interactions,
        CONVERSATION: digests.conversations,
    }
    rows = [
        {"kind": kind, "digest": name, "receipt": receipt, "erased_at": now}
        for kind, names in by_kind.items()
        for name in sorted(names)
    ]
    return tables.merge(t.ERASURES, t.ERASURES.frame(rows)).inserted


def read_refused(tables: Tables) -> Digests:
    """Return everything that was erased so far."""
    rows = tables.read(t.ERASURES, columns=["kind", "digest"])
    kinds = (CUSTOMER, INTERACTION, CONVERSATION)
    return Digests(*(frozenset(rows.filter(pl.col("kind") == kind)["digest"]) for kind in kinds))


def find_aged(
    tables: Tables, *, days: int, now: datetime, digest_text: Callable[[str], str], keep: frozenset[str] = frozenset()
) -> Traces:
    """Return the traces of the interactions that occurred more than ``days`` ago, but for those in ``keep`` (ids)."""
    old = tables.read(
        t.INTERACTIONS, columns=["interaction_id"], where=pl.col("occurred_at") < now - timedelta(days=days)
    )
    return find_traces(tables, interactions=set(old["interaction_id"]) - keep, digest_text=digest_text)


def delete_aged(tables: Tables, table: t.Table, *, days: int, now: datetime) -> int:
    """Delete the rows of ``table`` whose event is more than ``days`` ago; return how many there were."""
    return tables.delete(table, pl.col(table.event_time) < now - timedelta(days=days))


def withhold_aged(rows: pl.DataFrame, table: t.Table, *, days: Mapping[str, int], now: datetime) -> Sifted:
    """Cut typed ``rows`` (with ``position``) into those that may be stored and those past their table's retention.

    Args:
        rows: of one batch.
        table: what the rows are.
        days: retention by table; 0, or none, means for ever.
        now: the time of the collection.
    """
    period = days.get(table.name, 0)
    if not period or rows.is_empty():
        return Sifted(rows, ())
    is_old = (rows[table.event_time] < now - timedelta(days=period)).fill_null(value=False)
    reason = f"{table.event_time} is more than the {period} days ago for which {table.name} are kept"
    refused = rows.filter(is_old).select(POSITION, code=pl.lit(PAST_RETENTION), reason=pl.lit(reason))
    return Sifted(rows.filter(~is_old), refuse([refused]))


def _where(table: t.Table, traces: Traces) -> pl.Expr | None:
    """Return which rows of ``table`` go, None where there can be none."""
    wanted = {
        t.FEATURES.name: {"text_digest": traces.texts},
        t.INTERACTIONS.name: {"interaction_id": traces.interactions, "customer_key": traces.customers},
        t.QUARANTINE.name: {"interaction_id": traces.interactions, "customer_key": traces.customers},
        t.ESCALATIONS.name: {"interaction_id": traces.interactions, "conversation_id": traces.conversations},
        t.REVIEW_TASKS.name: {"interaction_id": traces.interactions, "case_id": traces.cases},
    }.get(table.name, {"interaction_id": traces.interactions})
    conditions = [_among(column, names) for column, names in wanted.items() if names]
    return pl.any_horizontal(conditions) if conditions else None


def _among(column: str, names: Iterable[str] | pl.Series) -> pl.Expr:
    """Whether ``column`` is one of ``names``; false where it is null."""
    values = names if isinstance(names, pl.Series) else pl.Series(sorted(names), dtype=pl.String)
    return pl.col(column).is_in(values.unique().implode()).fill_null(value=False)


def _cases_of(tables: Tables, interactions: Iterable[str]) -> frozenset[str]:
    where = _among("interaction_id", interactions)
    found = [tables.read(table, columns=["case_id"], where=where) for table in (t.REVIEW_QUEUE, t.REVIEW_TASKS)]
    return frozenset(pl.concat(found)["case_id"])


def _later(others: pl.DataFrame, gone: pl.DataFrame) -> frozenset[str]:
    """Return those of ``others`` that come after one of ``gone`` in its conversation: their pages show it."""
    first = gone.group_by("conversation_id").agg(pl.col("turn").min().alias("first"))
    behind = others.join(first, on="conversation_id").filter((pl.col("turn") > pl.col("first")).fill_null(value=True))
    return frozenset(behind["interaction_id"])
