"""Quarantined rows once more through their source's map, after a mapping or the taxonomy was mended."""

from dataclasses import dataclass, field

import polars as pl

from labeling.delta import Tables
from labeling.sources.intake import House, Intake
from labeling.sources.quarantine import replay_batch
from labeling.sources.records import POSITION
from labeling.sources.source import Source, SourcesConfig
from labeling.tables import DELIVERIES, PREDICTIONS, QUARANTINE


@dataclass
class Replayed:
    """What became of quarantined rows: ``taken`` in now (stored or parked), or ``refused`` again.

    ``left`` counts, by why, the rows that could not be tried.
    """

    taken: int = 0
    refused: int = 0
    left: dict[str, int] = field(default_factory=dict)

    def leave(self, why: str, rows: int) -> None:
        """Count ``rows`` that could not be tried."""
        self.left[why] = self.left.get(why, 0) + rows


def replay_quarantine(rows: pl.DataFrame, *, sources: SourcesConfig, house: House) -> Replayed:
    """Take quarantined rows in again, by the maps and rules of today.

    A row leaves the quarantine after it has been stored or parked; one that is refused again stays, with today's
    reason. Killed at any instant and called again, each row is taken in once.

    Args:
        rows: QUARANTINE rows to try.
        sources: today's sources.
        house: today's rules, and the tables.
    """
    replayed = Replayed()
    by_name = {source.name: source for source in sources.sources}
    for (name, table, _), group in rows.group_by("source", "table", "origin", maintain_order=True):
        source = _fill_only(by_name.get(str(name)), str(table))
        kept = group.filter(pl.col("row").is_not_null())
        if source is None:
            replayed.leave(_why_not(by_name.get(str(name)), str(table)), group.height)
            continue
        replayed.leave("the row itself was not kept: mend it at the source", group.height - kept.height)
        if kept.height:
            _replay(kept, source, house, replayed)
    replayed.left = {why: count for why, count in replayed.left.items() if count}
    return replayed


def _why_not(source: Source | None, table: str) -> str:
    if source is not None and table == PREDICTIONS.name:
        return "predictions come along with their message: write its row anew at the source, and collect"
    return "no such source and table in sources.yaml any more"


def _replay(rows: pl.DataFrame, source: Source, house: House, replayed: Replayed) -> None:
    """Take in ``rows`` of one origin; they are numbered anew, because two contents of a file share its positions."""
    numbered = rows.drop(POSITION).with_row_index(POSITION, offset=1).with_columns(pl.col(POSITION).cast(pl.Int64))
    again = QUARANTINE.empty()
    for table, made in Intake(source, house).take(replay_batch(numbered, source=source)):
        if table == QUARANTINE:
            again = pl.concat([again, made])
        elif table != DELIVERIES:
            house.tables.merge(table, made)
    refused = again.select(POSITION, "reason_code", "reason").join(
        numbered.drop("reason_code", "reason", "quarantined_at"), on=POSITION
    )
    house.tables.merge(QUARANTINE, _restate(refused, rows, house))
    taken = numbered.filter(~pl.col(POSITION).is_in(refused[POSITION].implode()))["quarantine_id"]
    if taken.len():
        house.tables.delete(QUARANTINE, pl.col("quarantine_id").is_in(taken.implode()))
    replayed.taken += taken.len()
    replayed.refused += refused.height


def _restate(refused: pl.DataFrame, rows: pl.DataFrame, house: House) -> pl.DataFrame:
    """Return the quarantined rows under their old ids and places, with today's reasons."""
    places = rows.select("quarantine_id", POSITION)
    stated = refused.drop(POSITION).join(places, on="quarantine_id").with_columns(quarantined_at=pl.lit(house.now))
    return stated.select(list(QUARANTINE.schema))


def _fill_only(source: Source | None, table: str) -> Source | None:
    """Return ``source`` as one that fills ``table`` alone, None where it does not fill it."""
    maps = [one for one in source.maps if one.table == table] if source else []
    return source.model_copy(update={"maps": tuple(maps)}) if source and maps else None


def read_quarantine(tables: Tables, *, source: str = "", table: str = "", code: str = "") -> pl.DataFrame:
    """Return the quarantined rows of a source, for a table, with a reason code; empty means any."""
    wanted = {"source": source, "table": table, "reason_code": code}
    where = pl.lit(value=True)
    for column, value in wanted.items():
        if value:
            where &= pl.col(column) == value
    return tables.read(QUARANTINE, where=where).sort("quarantined_at", "source", "origin", POSITION)


def count_quarantine(rows: pl.DataFrame) -> pl.DataFrame:
    """Return how many ``rows`` there are by source, table and reason code, with one reason each."""
    return (
        rows.group_by("source", "table", "reason_code")
        .agg(pl.len().alias("rows"), pl.col("reason").first())
        .sort("rows", "source", "table", "reason_code", descending=[True, False, False, False])
    )
