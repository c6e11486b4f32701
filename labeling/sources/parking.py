"""Events that came before their interaction wait, and join it when it comes, or are quarantined after a while."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl

from labeling.delta import Tables
from labeling.digests import keyed_digest
from labeling.tables import (
    CONTEXT_FEEDBACK,
    CORRECTIONS,
    ESCALATIONS,
    INTERACTIONS,
    PARKED,
    QUARANTINE,
    REVIEWS,
    TIME,
    Table,
)

PARKABLE: Final = (CORRECTIONS, ESCALATIONS, CONTEXT_FEEDBACK, REVIEWS)
"""The tables whose events refer to an interaction."""


@dataclass(frozen=True)
class Joined:
    """What became of the events that waited for one table: ``joined`` it now, ``expired``, or still wait."""

    joined: int = 0
    expired: int = 0
    waiting: int = 0


def park(rows: pl.DataFrame, table: Table, *, source: str, origin: str, now: datetime) -> pl.DataFrame:
    """Return typed ``rows`` (with ``position``) of ``table`` as rows of PARKED."""
    if rows.is_empty():
        return PARKED.empty()
    return rows.select(
        pl.lit(table.name).alias("table"),
        _event_id(table).alias("event_id"),
        "interaction_id",
        pl.coalesce(pl.col(table.newest), pl.col(table.event_time)).alias("changed_at"),
        pl.lit(source).alias("source"),
        pl.lit(origin).alias("origin"),
        "position",
        pl.struct(_written(column, kind) for column, kind in table.schema.items()).struct.json_encode().alias("row"),
        pl.lit(now).cast(TIME).alias("parked_at"),
    )


def join_parked(tables: Tables, table: Table, *, key: bytes, now: datetime, days: float) -> Joined:
    """Move the events parked for ``table`` whose interaction is there now; quarantine those that waited ``days``.

    Killed at any instant and called again, each event is moved once.
    """
    parked = tables.read(PARKED, where=pl.col("table") == table.name)
    if parked.is_empty():
        return Joined()
    here = tables.find(INTERACTIONS, "interaction_id", parked["interaction_id"].unique())
    is_here = parked["interaction_id"].is_in(here.implode())
    joining, left = parked.filter(is_here), parked.filter(~is_here)
    expired = left.filter(pl.col("parked_at") <= now - timedelta(days=days))
    tables.merge(table, unpark(joining, table))
    tables.merge(QUARANTINE, _quarantined(expired, key=key, now=now, days=days))
    moved = pl.concat([joining, expired])["event_id"]
    if moved.len():
        tables.delete(PARKED, (pl.col("table") == table.name) & pl.col("event_id").is_in(moved.implode()))
    return Joined(joining.height, expired.height, left.height - expired.height)


def unpark(parked: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Return the events that were parked for ``table``, typed as they were."""
    if parked.is_empty():
        return table.empty()
    written = pl.Struct({column: _written_kind(kind) for column, kind in table.schema.items()})
    rows = parked.select(pl.col("row").str.json_decode(written)).unnest("row")
    times = [column for column, kind in table.schema.items() if kind == TIME]
    return rows.with_columns(pl.col(column).str.to_datetime("%+", time_unit="us", time_zone="UTC") for column in times)


def _event_id(table: Table) -> pl.Expr:
    """Name an event by what names its row, whatever that takes."""
    return pl.concat_str([pl.col(column) for column in table.key], separator="\x1f")


def _written(column: str, kind: Any) -> pl.Expr:
    return pl.col(column).dt.to_string("iso:strict") if kind == TIME else pl.col(column)


def _written_kind(kind: Any) -> Any:
    return pl.String if kind == TIME else kind


def _quarantined(expired: pl.DataFrame, *, key: bytes, now: datetime, days: float) -> pl.DataFrame:
    rows = [
        {
            "quarantine_id": f"q-{keyed_digest(key, 'parked', event['table'], event['event_id'])[:32]}",
            "table": event["table"],
            "source": event["source"],
            "origin": event["origin"],
            "position": event["position"],
            "reason_code": "interaction_never_came",
            "reason": f"its interaction did not come within {days:g} days",
            "interaction_id": event["interaction_id"],
            "row_digest": keyed_digest(key, "row", event["row"]),
            "quarantined_at": now,
        }
        for event in expired.iter_rows(named=True)
    ]
    return QUARANTINE.frame(rows)
