"""Take in what is new at the sources, park what came too early, and say what became of every row."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import polars as pl

from labeling.errors import SourceError
from labeling.home import Home
from labeling.sources.delivery import Delivered, deliver
from labeling.sources.erased import read_erased
from labeling.sources.intake import House, Intake, Rows
from labeling.sources.parking import PARKABLE, join_parked
from labeling.sources.records import Batch
from labeling.sources.source import FilesSource, GatewaySource, RestSource, Source, SourcesConfig
from labeling.tables import DELIVERIES


@dataclass(frozen=True)
class Collected:
    """What one collection did for one table.

    ``origins`` are the parts of sources that were read (files, pages), ``rows`` what they held for this table: rows
    that were ``stored`` (of which ``inserted`` were new, ``updated`` superseded an older version, and the rest had come
    before), ``parked`` or ``quarantined``, of which ``kept_out`` for being erased or past retention. ``joined`` and
    ``expired`` are events that had been parked before. ``newest_at`` is the time of the newest event.
    """

    origins: int = 0
    rows: int = 0
    stored: int = 0
    inserted: int = 0
    updated: int = 0
    parked: int = 0
    quarantined: int = 0
    kept_out: int = 0
    joined: int = 0
    expired: int = 0
    newest_at: datetime | None = None


@dataclass(frozen=True)
class Collection:
    """What one collection did: by table, and which sources could not be read (``unread``: their names and why)."""

    tables: Mapping[str, Collected]
    unread: tuple[str, ...] = ()


def collect(*names: str, sources: SourcesConfig, home: Home, house: House, only: str = "") -> Collection:
    """Take in what is new at every source of the tables called ``names``.

    Each source's rows are staged and merged by themselves: killed at any instant and run again, each row is stored
    once. Bad rows never stop the good ones, and a source that cannot be read does not stop the others.

    Args:
        names: which tables.
        sources: where to look.
        home: where files and dlt's staging lie.
        house: the rules, and the tables.
        only: the name of the one source to read; all of them where empty.

    Returns:
        What was done, the tables that a source fills beside ``names`` included. What could be read of a source that
        failed is stored.

    Raises:
        SourceError: there is no source called ``only``.
        StorageError: a table cannot be written.
    """
    if only and only not in {source.name for source in sources.sources}:
        known = ", ".join(source.name for source in sources.sources) or "none"
        raise SourceError(f"a source of sources.yaml is needed ({known}), found {only}")
    chosen = [source for source in sources.of_tables(*names) if only in {"", source.name}]
    tables = sorted({table for source in chosen for table in source.tables} | set(names))
    done = {name: Collected() for name in tables}
    faults = []
    for source in chosen:
        if isinstance(source, GatewaySource) and not (home.path / source.path).exists():
            continue  # no gateway ever ran here: looking through dlt would cost most of a second
        try:
            delivered = _deliver(source, house, home)
        except SourceError as fault:
            faults.append(str(fault))
            continue
        if delivered.fault:
            faults.append(delivered.fault)
        done = {name: _add(found, delivered, name) for name, found in done.items()}
    for table in PARKABLE:
        if table.name in done:
            joined = join_parked(home.tables, table, key=house.key, now=house.now, days=sources.parked_days)
            done[table.name] = replace(done[table.name], joined=joined.joined, expired=joined.expired)
    return Collection(done, tuple(faults))


def _deliver(source: Source, house: House, home: Home) -> Delivered:
    def read(state: dict[str, Any]) -> Iterator[Rows]:
        erased = read_erased(home.tables, house.key)  # read under the lock that an erasure waits for
        intake = Intake(source, replace(house, erased=erased))
        for batch in _batches(source, home, state):
            yield from intake.take(batch)

    with home.exclusive(f"source-{source.name}"):
        return deliver(source.name, read, tables=home.tables, folder=home.collecting)


def _batches(source: Source, home: Home, state: dict[str, Any]) -> Iterator[Batch]:
    """Return the source's reader at work; each kind's libraries are loaded where one is read."""
    if isinstance(source, FilesSource):
        from labeling.sources.files import read_files

        return read_files(source, folder=home.path, taken=_taken(source, home))
    if isinstance(source, GatewaySource):
        from labeling.sources.events import read_events

        return read_events(source, folder=home.path, taken=_taken(source, home))
    if isinstance(source, RestSource):
        from labeling.sources.rest import read_rest

        return read_rest(source, state=state)
    from labeling.sources.sql import read_sql

    return read_sql(source, state=state)


def _taken(source: FilesSource | GatewaySource, home: Home) -> frozenset[tuple[str, str]]:
    """Return the contents (origin, version) of files, or of parts of them, that this source took in before."""
    noted = home.tables.read(DELIVERIES, columns=["origin", "version"], where=pl.col("source") == source.name)
    return frozenset(noted.iter_rows())


def _add(found: Collected, delivered: Delivered, table: str) -> Collected:
    notes = pl.concat(delivered.notes).filter(pl.col("table") == table) if delivered.notes else DELIVERIES.empty()
    return replace(
        found,
        origins=found.origins + notes.height,
        rows=found.rows + int(notes["rows"].sum()),
        stored=found.stored + int(notes["stored"].sum()),
        inserted=found.inserted + delivered.inserted.get(table, 0),
        updated=found.updated + delivered.updated.get(table, 0),
        parked=found.parked + int(notes["parked"].sum()),
        quarantined=found.quarantined + int(notes["quarantined"].sum()),
        kept_out=found.kept_out + delivered.kept_out.get(table, 0),
        newest_at=_latest([found.newest_at, *notes["newest_at"].to_list()]),
    )


def _latest(times: Sequence[datetime | None]) -> datetime | None:
    return max((time for time in times if time), default=None)
