"""Delta Lake tables on one folder or object store: the only place that imports deltalake."""

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from deltalake import DeltaTable, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from labeling.errors import StorageError
from labeling.tables import Table

_ATTEMPTS = 5
_VERSION_KEY = "cxloop.schema_version"
_WRITER = WriterProperties(compression="ZSTD")


@dataclass(frozen=True)
class Merged:
    """What one merge changed, in rows."""

    inserted: int
    updated: int


class Tables:
    """Every table of one home, under ``root``. A table is made when its first rows come.

    One writer a table at a time (a lock file), so that parallel runs queue instead of failing.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, table: Table, *, columns: Sequence[str] | None = None, where: pl.Expr | None = None) -> pl.DataFrame:
        """Return the rows of ``table`` as of now; an empty frame with its schema where none were ever written.

        Args:
            table: which table.
            columns: the columns to read, all by default; ``where`` may use others too.
            where: keeps the rows for which this is true.

        Raises:
            StorageError: the stored table is damaged or has another schema version.
        """
        stored = self._open(table)
        rows = table.empty().lazy() if stored is None else pl.scan_delta(stored)
        if where is not None:
            rows = rows.filter(where)
        rows = rows.select(list(columns or table.schema))
        try:
            return rows.collect()
        except (pl.exceptions.PolarsError, DeltaError, OSError) as error:
            raise StorageError(_unreadable(table, error)) from error

    def merge(self, table: Table, rows: pl.DataFrame) -> Merged:
        """Insert the rows whose key is new; replace those that are older than the row that came.

        ``rows`` may repeat a key: the newest wins, or the first where the table has no ``newest`` column. Rows equal in
        age to the stored one change nothing, so the same call twice is the same as once. Atomic: all rows or none.

        Raises:
            StorageError: the disk is full, the table is damaged, or writers kept conflicting.
        """
        if rows.is_empty():
            return Merged(0, 0)
        arriving = _newest(table, rows.select(list(table.schema)).cast(pl.Schema(table.schema)))
        with self._lock(table):
            for attempt in range(_ATTEMPTS):
                try:
                    return self._merge_once(table, arriving)
                except CommitFailedError as error:
                    if attempt == _ATTEMPTS - 1:
                        raise StorageError(
                            f"table {table.name}: {_ATTEMPTS} commits in a row met another writer's: "
                            "stop the other writer and run again"
                        ) from error
                except (DeltaError, OSError) as error:
                    raise StorageError(_unwritable(table, error)) from error
        raise AssertionError("unreachable: the last attempt returns or raises")

    def version(self, table: Table) -> int:
        """Return the number of the last commit of ``table``, -1 where it does not exist yet."""
        stored = self._open(table)
        return -1 if stored is None else stored.version()

    def compact(self, table: Table) -> None:
        """Join small files, write a checkpoint and remove the files that no reader needs any more."""
        stored = self._open(table)
        if stored is None:
            return
        with self._lock(table):
            try:
                stored.optimize.compact(writer_properties=_WRITER)
                stored.create_checkpoint()
                stored.vacuum(dry_run=False)
            except (DeltaError, OSError) as error:
                raise StorageError(_unwritable(table, error)) from error

    def _merge_once(self, table: Table, arriving: pl.DataFrame) -> Merged:
        stored = self._open(table)
        if stored is None:
            write_deltalake(
                self._path(table),
                arriving.to_arrow(),
                configuration={"delta.logRetentionDuration": "interval 30 days"},
                description=f"{_VERSION_KEY}={table.version}",
                writer_properties=_WRITER,
            )
            return Merged(arriving.height, 0)
        merger = stored.merge(
            arriving.to_arrow(),
            predicate=" AND ".join(f"t.{column} = s.{column}" for column in table.key),
            source_alias="s",
            target_alias="t",
            writer_properties=_WRITER,
        )
        if table.newest:
            age = table.newest
            merger = merger.when_matched_update_all(
                predicate=f"s.{age} > t.{age} OR (t.{age} IS NULL AND s.{age} IS NOT NULL)"
            )
        done = merger.when_not_matched_insert_all().execute()
        return Merged(done["num_target_rows_inserted"], done["num_target_rows_updated"])

    def _open(self, table: Table) -> DeltaTable | None:
        path = self._path(table)
        if not (path / "_delta_log").is_dir():
            return None
        try:
            stored = DeltaTable(path)
        except (DeltaError, OSError) as error:
            if not any((path / "_delta_log").glob("*.json")):
                return None  # killed before the first commit: nothing was ever stored
            raise StorageError(_unreadable(table, error)) from error
        found = (stored.metadata().description or "").removeprefix(f"{_VERSION_KEY}=")
        if found != str(table.version):
            raise StorageError(
                f"table {table.name} needs schema version {table.version}, found {found or 'none'}: "
                "use the cxloop version that wrote it, or move the folder away"
            )
        return stored

    def _path(self, table: Table) -> Path:
        return self.root / table.name

    @contextmanager
    def _lock(self, table: Table) -> Iterator[None]:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock = (self.root / f".{table.name}.lock").open("w")
        except OSError as error:
            raise StorageError(_unwritable(table, error)) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _newest(table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """Keep one row a key: the newest, or the first where the table has no age."""
    if table.newest:
        rows = rows.sort(table.newest, descending=True, nulls_last=True, maintain_order=True)
    return rows.unique(subset=list(table.key), keep="first", maintain_order=True)


def _unreadable(table: Table, error: Exception) -> str:
    return (
        f"table {table.name} cannot be read ({type(error).__name__}): restore its folder from a backup, or move it away"
    )


def _unwritable(table: Table, error: Exception) -> str:
    full = "No space left" in str(error) or getattr(error, "errno", None) == 28
    if full:
        return (
            f"table {table.name} cannot be written: the disk is full; free some space and run again, nothing was lost"
        )
    return f"table {table.name} cannot be written ({type(error).__name__}): check the folder's rights and run again"
