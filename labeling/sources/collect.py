"""Take in what is new at the sources of one table: read, type, sift, merge, quarantine, and only then note it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from labeling.home import Home
from labeling.sources.arrivals import event_columns, type_rows
from labeling.sources.files import SourceFile, SourcesConfig, new_files, read_events
from labeling.sources.lots import LotPolicy
from labeling.sources.quarantine import quarantine_rows
from labeling.sources.redaction import RedactionRules
from labeling.sources.refusals import Sifted
from labeling.tables import DELIVERIES, QUARANTINE, Table

Sift = Callable[[pl.DataFrame, Table], Sifted]
"""Judges typed rows (with ``position``) of a table."""


@dataclass(frozen=True)
class Collected:
    """What one collection did: files taken in, their rows, and where the rows went.

    ``rows`` is ``quarantined`` plus the rows that went to the table; of those, ``inserted`` were new and ``updated``
    superseded an older version, and the rest had come before.
    """

    files: int = 0
    rows: int = 0
    inserted: int = 0
    updated: int = 0
    quarantined: int = 0

    def __add__(self, other: "Collected") -> "Collected":
        """Return the sum of two collections."""
        return Collected(
            self.files + other.files,
            self.rows + other.rows,
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.quarantined + other.quarantined,
        )


def collect(
    table: Table,
    *,
    sources: SourcesConfig,
    home: Home,
    rules: RedactionRules,
    lots: LotPolicy,
    sift: Sift,
    now: datetime,
) -> Collected:
    """Take every new file of ``table`` in.

    A file is noted in DELIVERIES after its rows are stored: killed at any instant and run again, each row is stored
    once. Bad rows never stop the good ones.

    Args:
        table: which table.
        sources: where to look.
        home: whose tables and key.
        rules: what is personal data.
        lots: the shares of the lots.
        sift: cuts the typed rows of a table into good ones and refusals.
        now: the time of the collection.

    Raises:
        SourceError: a file is there and cannot be read; the files before it are taken in.
        StorageError: a table cannot be written.
    """
    total = Collected()
    for source in sources.of_table(table.name):
        deliveries = home.tables.read(DELIVERIES)
        for file in new_files(source, folder=home.path, deliveries=deliveries):
            total += _collect_file(file, table=table, home=home, rules=rules, lots=lots, sift=sift, now=now)
    return total


def _collect_file(
    file: SourceFile,
    *,
    table: Table,
    home: Home,
    rules: RedactionRules,
    lots: LotPolicy,
    sift: Sift,
    now: datetime,
) -> Collected:
    key = home.key()
    read = read_events(file.path, columns=event_columns(table))
    typed = type_rows(read.rows, table=table, rules=rules, lots=lots, key=key)
    sifted = sift(typed.good, table)
    refusals = (*read.refused, *typed.refusals, *sifted.refusals)
    merged = home.tables.merge(table, sifted.good)
    home.tables.merge(
        QUARANTINE,
        quarantine_rows(refusals, raw=read.rows, table=table, source=file.name, rules=rules, key=key, now=now),
    )
    rows = sifted.good.height + len(refusals)
    noted = {
        "table": table.name,
        "path": file.name,
        "digest": file.digest,
        "rows": rows,
        "stored": sifted.good.height,
        "quarantined": len(refusals),
        "collected_at": now,
    }
    home.tables.merge(DELIVERIES, DELIVERIES.frame([noted]))
    return Collected(1, rows, merged.inserted, merged.updated, len(refusals))
