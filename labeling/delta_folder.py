"""One Delta table's folder: its log, and commits that add and drop files at once.

Files are written by polars and enter the log with their number of rows and nothing else, so that no text stands in the
log. Every change is one commit: all of it or nothing.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import polars as pl
from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from labeling.delta_faults import committing, unreadable
from labeling.delta_files import PART, DataFile, choose_bins, write_files
from labeling.errors import StorageError
from labeling.tables import Table

FILE: Final = "_file"
"""The column that tells from which file a scanned row came, an address that ``DeltaFolder.files_at`` knows."""

MOST_SMALL_FILES: Final = 100
"""A merge joins small files first where that makes this many fewer: every scan opens each of them."""

MOST_UNEVEN: Final = 4
"""A merge joins a file only with smaller ones of at least a quarter of its bytes: else a few new rows would rewrite
many old ones each time (as in log-structured merge trees; O'Neil et al., 1996)."""

_VERSION_KEY = "cxloop.schema_version"
_SETTINGS = {"delta.logRetentionDuration": "interval 30 days", "delta.dataSkippingNumIndexedCols": "0"}
_ONCE = CommitProperties(max_commit_retries=0)  # what to commit follows from what was read: read again, then commit


class DeltaFolder:
    """The newest commit of one stored table, as found when it was opened."""

    def __init__(self, table: Table, path: Path, log: DeltaTable, schema_version: int) -> None:
        self._table = table
        self._path = path
        self._log = log
        self._files: tuple[DataFile, ...] | None = None
        self.is_current = schema_version == table.version

    @classmethod
    def open(cls, table: Table, path: Path) -> "DeltaFolder | None":
        """Open the table stored at ``path``; None where nothing was ever stored.

        Raises:
            StorageError: the table is damaged, of a newer schema version, or uses what cxloop cannot read.
        """
        if not (path / "_delta_log").is_dir():
            return None
        try:
            log = DeltaTable(path)
        except (DeltaError, OSError) as error:
            if not any(_log_entries(path)):
                return None  # killed before the first commit: nothing was ever stored
            raise StorageError(unreadable(table, error)) from error
        found = (log.metadata().description or "").removeprefix(f"{_VERSION_KEY}=")
        if (needed := log.protocol().min_reader_version) > 1:
            raise StorageError(
                f"table {table.name} needs Delta's reader version 1, found {needed}: another tool changed it; "
                "restore its folder from a backup, or rewrite it with that tool"
            )
        if not found.isdecimal() or int(found) > table.version:
            raise StorageError(
                f"table {table.name} needs schema version {table.version}, found {found or 'none'}: "
                "use the cxloop version that wrote it, or move the folder away"
            )
        return cls(table, path, log, int(found))

    @classmethod
    def replace(cls, table: Table, path: Path, rows: pl.DataFrame) -> None:
        """Put ``rows`` in the place of all that is stored, if anything is, under the newest schema, in one commit."""
        with committing():
            create_table_with_add_actions(
                str(path),
                _delta_schema(table),
                write_files(path, rows.sort(table.key)),
                mode="overwrite",
                partition_by=[PART] if table.partition else [],
                description=f"{_VERSION_KEY}={table.version}",
                configuration=_SETTINGS,
                commit_properties=_ONCE,
            )

    @property
    def commit_number(self) -> int:
        """The number of the newest commit."""
        return self._log.version()

    def files(self) -> tuple[DataFile, ...]:
        """Return every file of the table: by partition, the latest written last."""
        if self._files is None:
            added = pl.DataFrame(self._log.get_add_actions(flatten=True))
            described = [pl.col(name).is_not_null() for name in added.columns if name.startswith(("min.", "max."))]
            part = pl.col(f"partition.{PART}") if f"partition.{PART}" in added.columns else pl.lit(None, pl.String)
            columns = ("path", "size_bytes", part.alias("part"), pl.any_horizontal(pl.lit(False), *described))
            self._files = tuple(DataFile(*row) for row in added.select(*columns).sort("path").rows())
        return self._files

    def scan(self, files: Sequence[DataFile] | None = None) -> pl.LazyFrame:
        """Return the rows of ``files`` (all by default) under the newest schema, with ``FILE``."""
        paths = [self._path / file.path for file in (self.files() if files is None else files)]
        if not paths:
            return self._table.empty().lazy().with_columns(pl.lit("").alias(FILE))
        rows = pl.scan_parquet(paths, hive_partitioning=False, include_file_paths=FILE, glob=False)
        return rows if self.is_current else rows.select(*_migrated(self._table, rows.collect_schema().names()), FILE)

    def scan_parts(self, files: Sequence[DataFile]) -> pl.LazyFrame:
        """Return the rows of ``files`` with ``FILE`` and, where the table has partitions, ``PART``."""
        rows = self.scan(files)
        if not self._table.partition:
            return rows
        if not files:
            return rows.with_columns(pl.lit("").alias(PART))
        parts = {self._address(file): file.part for file in files}
        part = pl.col(FILE).replace_strict(list(parts), list(parts.values()), return_dtype=pl.String)
        return rows.with_columns(part.alias(PART))

    def files_at(self, addresses: pl.Series) -> list[DataFile]:
        """Return the files that values of ``FILE`` name, each once."""
        known = {self._address(file): file for file in self.files()}
        return [known[address] for address in addresses.unique().sort()]

    def commit(self, rows: pl.DataFrame, *, gone: Sequence[DataFile] = ()) -> None:
        """Add ``rows`` and drop the files ``gone``, in one commit.

        Args:
            rows: rows of the table, with ``PART`` where it has a partition.
            gone: files of which ``rows`` holds what should stay.

        Raises:
            CommitLost: another writer was faster.
        """
        self._commit(write_files(self._path, rows.sort(self._table.key)), gone)

    def join_if_many(self) -> None:
        """Join small files where there are many."""
        bins = choose_bins(self.files(), most_uneven=MOST_UNEVEN)
        if sum(len(files) - 1 for files in bins) > MOST_SMALL_FILES:
            self._rewrite(bins)

    def join_small_files(self) -> None:
        """Write the small files of each partition as one, all in one commit."""
        self._rewrite(choose_bins(self.files()))

    def drop_unneeded(self) -> None:
        """Remove files dropped over a week ago, which no reader can still be at, and shorten the log."""
        self._log.create_checkpoint()
        self._log.vacuum(dry_run=False, full=True)

    def drop_all_unneeded(self) -> None:
        """Remove every file, and all of the log, that the newest commit does not need; breaks readers at work."""
        self._rewrite([[file] for file in self.files() if file.is_described])
        self._log.create_checkpoint()
        needed = {self._path / file.path for file in self.files()}
        newest = f"{self.commit_number:020}"
        for file in self._path.rglob("*"):
            is_log = file.parent == self._path / "_delta_log"
            is_needed = file.name.startswith((newest, "_last_checkpoint")) if is_log else file in needed
            if file.is_file() and not is_needed:
                file.unlink()

    def _address(self, file: DataFile) -> str:
        return str(self._path / file.path)

    def _rewrite(self, bins: Sequence[Sequence[DataFile]]) -> None:
        """Write each of ``bins``, whose files are of one partition, as one file."""
        if not bins:
            return
        added = []
        for files in bins:
            rows = self.scan_parts(files).drop(FILE).sort(self._table.key).collect()
            added += write_files(self._path, rows)
        self._commit(added, [file for files in bins for file in files], changes_rows=False)

    def _commit(self, added: list[AddAction], gone: Sequence[DataFile], *, changes_rows: bool = True) -> None:
        now = int(time.time() * 1000)
        dropped = [
            RemoveAction(file.path, changes_rows, now, file.size, {PART: file.part} if self._table.partition else {})
            for file in gone
        ]
        for action in added:
            action.data_change = changes_rows
        with committing():
            self._log.create_write_transaction(
                [*added, *dropped],
                mode="append",
                schema=_delta_schema(self._table),
                partition_by=[PART] if self._table.partition else [],
                commit_properties=_ONCE,
            )
        self._log.update_incremental()
        self._files = None


def _migrated(table: Table, stored: Sequence[str]) -> list[pl.Expr]:
    """Return the columns of ``table`` as they follow from those that an older version stored."""
    moved = {new: old for new, old in table.renamed.items() if new not in stored and old in stored}
    kept = set(stored) - set(moved.values())
    sources = {name: moved.get(name, name if name in kept else None) for name in table.schema}
    return [
        (pl.lit(None) if source is None else pl.col(source)).cast(table.schema[name]).alias(name)
        for name, source in sources.items()
    ]


def _delta_schema(table: Table) -> Schema:
    rows = table.empty()
    rows = rows.with_columns(pl.lit("").alias(PART)) if table.partition else rows
    return Schema.from_arrow(rows.to_arrow().schema)


def _log_entries(path: Path) -> list[Path]:
    """Return the commits and checkpoints of a table's log."""
    return [entry for entry in (path / "_delta_log").iterdir() if entry.name[:20].isdecimal()]
