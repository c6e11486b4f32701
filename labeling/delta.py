"""The tables of one home: what is read, merged and deleted. Only the files ``delta_*`` beside this import deltalake."""

import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeVar

import polars as pl

from labeling.delta_faults import CommitLost, readable, unwritable, writable
from labeling.delta_files import PART, DataFile, with_part
from labeling.delta_folder import FILE, DeltaFolder
from labeling.errors import StorageError
from labeling.tables import Table

_ATTEMPTS: Final = 5
_ARRIVED: Final = "_arrived"
Result = TypeVar("Result")


@dataclass(frozen=True)
class Merged:
    """What one merge changed, in rows."""

    inserted: int
    updated: int


class Tables:
    """Every table of one home, under ``root``. A table is made when its first rows come.

    One writer a table at a time (a lock file), so that parallel runs queue instead of failing. A table that an older
    version of cxloop stored is read as if it were of this version, and becomes so with the first write.
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
            StorageError: the stored table is damaged or of a newer schema version.
        """
        kept = [] if where is None else [where]
        return self._collect(table, lambda rows: rows.filter(*kept).select(list(columns or table.schema)))

    def find(self, table: Table, column: str, values: pl.Series) -> pl.Series:
        """Return those of ``values`` that stand in ``column``, each once and sorted; reads that column alone.

        Raises:
            StorageError: the stored table is damaged or of a newer schema version.
        """
        asked = values.cast(table.schema[column]).drop_nulls().unique()
        is_asked = pl.col(column).is_in(asked.implode())
        return self._collect(table, lambda rows: rows.select(column).filter(is_asked).unique().sort(column))[column]

    def merge(self, table: Table, rows: pl.DataFrame) -> Merged:
        """Insert the rows whose key is new; replace those that are older than the row that came.

        ``rows`` may repeat a key: the newest wins, or the first where the table has no ``newest`` column. Of two rows
        of one age the content decides, so that any order of arrival gives the same table, and the same call twice is
        the same as once. One commit, none where nothing changes: all rows or none. Costs what is new, and a look at
        the stored keys.

        Raises:
            StorageError: the disk is full, the table is damaged, or writers kept conflicting.
        """
        if rows.is_empty():
            return Merged(0, 0)
        arriving = with_part(table, _one_a_key(table, rows.select(list(table.schema)).cast(pl.Schema(table.schema))))
        return self._write(table, lambda: self._merge_once(table, arriving))

    def delete(self, table: Table, where: pl.Expr) -> int:
        """Remove the rows for which ``where`` is true; return how many there were.

        One commit, none where no row matches. The files that held them stay on disk until ``vacuum``.

        Raises:
            StorageError: the disk is full, the table is damaged, or writers kept conflicting.
        """
        return self._write(table, lambda: self._delete_once(table, where))

    def vacuum(self, table: Table) -> None:
        """Leave nothing of deleted or superseded rows on disk, in files or in the log.

        Readers that are at work may fail and have to read again; ``compact`` spares them.

        Raises:
            StorageError: the table is damaged or cannot be written.
        """
        self._write(table, lambda: self._keep(table, DeltaFolder.drop_all_unneeded))

    def compact(self, table: Table) -> None:
        """Join small files, write a checkpoint and remove the files that no reader needs any more.

        Files stay for a week after they were dropped, longer than any reader is at work.

        Raises:
            StorageError: the table is damaged or cannot be written.
        """
        self._write(table, lambda: self._keep(table, DeltaFolder.join_small_files, DeltaFolder.drop_unneeded))

    def version(self, table: Table) -> int:
        """Return the number of the last commit of ``table``, -1 where it does not exist yet."""
        folder = self._open(table)
        return -1 if folder is None else folder.commit_number

    def _merge_once(self, table: Table, arriving: pl.DataFrame) -> Merged:
        folder = self._open_for_writing(table)
        if folder is None:
            DeltaFolder.replace(table, self._path(table), arriving)
            return Merged(arriving.height, 0)
        folder.join_if_many()
        with readable(table):
            known = _by_key(table, folder.scan().select(*table.key, FILE), arriving, "semi").collect()
            fresh = _by_key(table, arriving.lazy(), known, "anti").collect()
            if known.is_empty() or not table.newest:
                newer, rest, touched = arriving.clear(), arriving.clear(), []
            else:
                newer, rest, touched = self._supersede(table, folder, known, arriving)
        if fresh.height + newer.height:
            rows = [frame.select(arriving.columns) for frame in (rest, newer, fresh)]
            folder.commit(pl.concat(rows), gone=touched)
        return Merged(fresh.height, newer.height)

    def _supersede(
        self, table: Table, folder: DeltaFolder, known: pl.DataFrame, arriving: pl.DataFrame
    ) -> tuple[pl.DataFrame, pl.DataFrame, list[DataFile]]:
        """Return the arriving rows that supersede stored ones, what else their files hold, and those files."""
        held = _by_key(table, folder.scan_parts(folder.files_at(known[FILE])), arriving, "semi").collect()
        newer = _newer(table, held, arriving)
        touched = folder.files_at(_by_key(table, held.lazy(), newer, "semi").collect()[FILE])
        return newer, _by_key(table, folder.scan_parts(touched), newer, "anti").collect(), touched

    def _delete_once(self, table: Table, where: pl.Expr) -> int:
        if self._collect(table, lambda rows: rows.filter(where).head(1)).is_empty():
            return 0
        folder = self._open_for_writing(table)
        if folder is None:
            return 0
        with readable(table):
            hits = folder.scan().filter(where).select(FILE).collect()[FILE]
            touched = folder.files_at(hits)
            rest = folder.scan_parts(touched).drop(FILE).filter(~where.fill_null(False)).collect()
        folder.commit(rest, gone=touched)
        return hits.len()

    def _keep(self, table: Table, *steps: Callable[[DeltaFolder], None]) -> None:
        """Take ``steps`` on the table, if it was ever stored."""
        folder = self._open_for_writing(table)
        if folder is not None:
            for step in steps:
                step(folder)

    def _open(self, table: Table) -> DeltaFolder | None:
        return DeltaFolder.open(table, self._path(table))

    def _open_for_writing(self, table: Table) -> DeltaFolder | None:
        """Open the stored table, migrated to this version on disk."""
        folder = self._open(table)
        if folder is None or folder.is_current:
            return folder
        with readable(table):
            rows = folder.scan().drop(FILE).collect()
        DeltaFolder.replace(table, self._path(table), with_part(table, rows))
        return self._open(table)

    def _collect(self, table: Table, query: Callable[[pl.LazyFrame], pl.LazyFrame]) -> pl.DataFrame:
        """Read; once more where it fails, because a vacuum may have taken the files away in between."""
        with suppress(pl.exceptions.PolarsError, OSError):
            return query(self._scan(table)).collect()
        with readable(table):
            return query(self._scan(table)).collect()

    def _scan(self, table: Table) -> pl.LazyFrame:
        folder = self._open(table)
        return table.empty().lazy() if folder is None else folder.scan()

    def _path(self, table: Table) -> Path:
        return self.root / table.name

    def _write(self, table: Table, change: Callable[[], Result]) -> Result:
        """Make one change under the table's lock, again where another writer was faster."""
        with self._lock(table), writable(table):
            for _ in range(_ATTEMPTS):
                try:
                    return change()
                except CommitLost:
                    continue
        raise StorageError(
            f"table {table.name}: {_ATTEMPTS} commits in a row met another writer's: "
            "stop the other writer and run again"
        )

    @contextmanager
    def _lock(self, table: Table) -> Iterator[None]:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock = (self.root / f".{table.name}.lock").open("w")
        except OSError as error:
            raise StorageError(unwritable(table, error)) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _one_a_key(table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """Keep one row a key: the newest and, of one age, the larger in content; the first where there is no age."""
    is_repeated = pl.struct(table.key).is_duplicated()
    repeated = rows.filter(is_repeated)
    if table.newest:
        order = [table.newest, *(column for column in table.schema if column not in (table.newest, *table.key))]
        repeated = repeated.sort(order, descending=True, nulls_last=True, maintain_order=True)
    kept = repeated.unique(subset=list(table.key), keep="first", maintain_order=True)
    return pl.concat([rows.filter(~is_repeated), kept])


def _newer(table: Table, held: pl.DataFrame, arriving: pl.DataFrame) -> pl.DataFrame:
    """Return the arriving rows that supersede the held one of their key, in the partition where that one lies."""
    came = _by_key(table, arriving.lazy(), held, "semi").collect().select(list(table.schema))
    both = pl.concat(
        [rows.select(*table.schema, pl.lit(new).alias(_ARRIVED)) for rows, new in ((held, False), (came, True))]
    )
    newer = _one_a_key(table, both).filter(_ARRIVED).drop(_ARRIVED)
    if not table.partition:
        return newer
    return newer.join(held.select(*table.key, PART), on=list(table.key), nulls_equal=True)


def _by_key(table: Table, rows: pl.LazyFrame, keys: pl.DataFrame, how: Literal["semi", "anti"]) -> pl.LazyFrame:
    """Return those of ``rows`` whose key is (semi) or is not (anti) among ``keys``."""
    return rows.join(keys.lazy().select(table.key), on=list(table.key), how=how, nulls_equal=True)
