"""One batch of a source becomes rows of tables, in memory: mapped, redacted, typed, sifted, parked or quarantined.

What leaves here may be written to disk; what comes in may not.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from labeling.delta import Tables
from labeling.sources.arrivals import type_rows
from labeling.sources.erased import Erased
from labeling.sources.lots import LotPolicy
from labeling.sources.mapping import map_predictions, map_rows
from labeling.sources.parking import park
from labeling.sources.quarantine import quarantine_rows
from labeling.sources.records import POSITION, Batch
from labeling.sources.redaction import RedactionRules
from labeling.sources.refusals import Refusal, Sifted
from labeling.sources.source import Source
from labeling.sources.table_map import TableMap
from labeling.tables import DELIVERIES, INTERACTIONS, PARKED, PREDICTIONS, QUARANTINE, Table

Sift = Callable[[pl.DataFrame, Table], Sifted]
"""Judges typed rows (with ``position``) of a table."""
Rows = tuple[Table, pl.DataFrame]
"""Rows for one table."""


@dataclass(frozen=True)
class House:
    """What every source's rows are met with: the rules, the key, who was erased, and the tables as they are.

    ``now`` is the time of the collection.
    """

    tables: Tables
    key: bytes
    rules: RedactionRules
    lots: LotPolicy
    erased: Erased
    sift: Sift
    now: datetime


@dataclass
class _Count:
    """What became of one origin's rows for one table so far."""

    rows: int = 0
    stored: int = 0
    parked: int = 0
    quarantined: int = 0
    newest_at: datetime | None = None


@dataclass
class Intake:
    """Takes the batches of one source in, one after the other."""

    source: Source
    house: House
    _counts: dict[str, _Count] = field(default_factory=dict)
    _coming: list[pl.Series] = field(default_factory=list)

    def take(self, batch: Batch) -> Iterator[Rows]:
        """Yield the rows that ``batch`` makes, table by table; at the end of an origin, the note of its delivery."""
        for number, table_map in enumerate(self.source.maps):
            refused = batch.refused if number == 0 else ()
            yield from self._take_map(batch, table_map, refused)
        if batch.is_last:
            yield DELIVERIES, self._note(batch)

    def _take_map(self, batch: Batch, table_map: TableMap, refused: tuple[Refusal, ...]) -> Iterator[Rows]:
        table, house = table_map.to, self.house
        events = map_rows(batch.rows, table_map)
        typed = type_rows(events, table=table, rules=house.rules, lots=house.lots, key=house.key)
        present = house.erased.withhold(typed.good)
        sifted = house.sift(present.good, table)
        stored, parked = self._part(sifted.good, table)
        refusals = (*refused, *typed.refusals, *present.refusals, *sifted.refusals)
        yield table, stored.drop(POSITION)
        yield PARKED, park(parked, table, source=self.source.name, origin=batch.origin, now=house.now)
        yield QUARANTINE, self._quarantine(batch, table, refusals)
        count = self._counts.setdefault(table.name, _Count())
        count.rows += events.height + len(refused)
        count.stored += stored.height
        count.parked += parked.height
        count.quarantined += len(refusals)
        count.newest_at = _later(count.newest_at, stored, table)
        if table == INTERACTIONS:
            if len(self.source.maps) > 1:
                self._coming.append(stored["interaction_id"])
            yield from self._take_predictions(batch, table_map, stored)

    def _part(self, rows: pl.DataFrame, table: Table) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Cut ``rows`` into those whose interaction is there, or comes with this source, and the others."""
        if table == INTERACTIONS or rows.is_empty():
            return rows, rows.clear()
        asked = rows["interaction_id"].drop_nulls().unique()
        known = pl.concat([self.house.tables.find(INTERACTIONS, "interaction_id", asked), *self._coming])
        is_there = rows["interaction_id"].is_null() | rows["interaction_id"].is_in(known.implode())
        return rows.filter(is_there), rows.filter(~is_there)

    def _take_predictions(self, batch: Batch, table_map: TableMap, stored: pl.DataFrame) -> Iterator[Rows]:
        """Yield what models said of the interactions that are stored; rows in which nothing was said make none."""
        for said in table_map.predictions:
            mapped = map_predictions(batch.rows, said).filter(pl.col("label").is_not_null())
            whole = mapped.join(stored.select(POSITION, "interaction_id", "occurred_at"), on=POSITION)
            absent = [column for column in PREDICTIONS.schema if column not in whole.columns]
            given = whole.with_columns(pl.lit(None, pl.String).alias(column) for column in absent).with_columns(
                pl.col("predicted_at").fill_null(pl.col("occurred_at").dt.to_string("iso:strict")),
                pl.col("shown").fill_null("true"),
            )
            house = self.house
            typed = type_rows(given, table=PREDICTIONS, rules=house.rules, lots=house.lots, key=house.key)
            sifted = house.sift(typed.good, PREDICTIONS)
            yield PREDICTIONS, sifted.good.drop(POSITION)
            yield QUARANTINE, self._quarantine(batch, PREDICTIONS, (*typed.refusals, *sifted.refusals))

    def _quarantine(self, batch: Batch, table: Table, refusals: tuple[Refusal, ...]) -> pl.DataFrame:
        return quarantine_rows(
            refusals,
            raw=batch.rows,
            table=table,
            source=self.source,
            origin=batch.origin,
            rules=self.house.rules,
            key=self.house.key,
            now=self.house.now,
        )

    def _note(self, batch: Batch) -> pl.DataFrame:
        counts, self._counts = self._counts, {}
        place = {"source": self.source.name, "origin": batch.origin, "version": batch.version}
        noted = [
            {**place, "table": name, **vars(count), "collected_at": self.house.now} for name, count in counts.items()
        ]
        return DELIVERIES.frame(noted)


def _later(so_far: datetime | None, rows: pl.DataFrame, table: Table) -> datetime | None:
    column = table.event_time
    newest = rows[column].max() if rows.height else None
    times = [time for time in (so_far, newest) if isinstance(time, datetime)]
    return max(times, default=None)
