"""Rows of a table or a query in a SQL database, read with one server-side cursor from where the last run stopped.

dlt's own SQL source reflects tables only, keeps its cursor in a pipeline's state with hashes of rows, and passes on
drivers' messages; so the rows are read with SQLAlchemy here, and dlt stages what came of them.
"""

import logging
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, Final

import sqlalchemy as sa  # noqa: TID253 - this file is imported where a SQL source is read, and nowhere else
from sqlalchemy import exc  # noqa: TID253

from labeling.digests import digest
from labeling.errors import SourceError
from labeling.sources.cursor import Cursor
from labeling.sources.records import Batch, raw_frame, read_record
from labeling.sources.refusals import Refusal
from labeling.sources.source import SqlSource
from labeling.sources.sql_connection import connected, parse_json
from labeling.sources.sql_faults import broken, no_column, no_table
from labeling.sources.statement import bare_select

ROW_LIMIT: Final = 1_000_000
"""Characters of the longest row that is taken in; a longer one is refused."""
_BATCH_CHARACTERS: Final = 32_000_000
_FETCHED: Final = 1_000
"""Rows that the driver holds at a time."""

log = logging.getLogger(__name__)


def read_sql(source: SqlSource, *, state: dict[str, Any], batch_rows: int = 50_000) -> Generator[Batch, None, None]:
    """Yield the rows of ``source`` that are new since ``state``, in the order of its cursor.

    Rows at or after the last cursor less ``source.overlap`` come again, and so do rows without a cursor value: seen
    twice is harmless, skipped is not. Without a cursor, or where the source in sources.yaml is no longer the one that
    ``state`` speaks of, everything is read. Where the database holds nothing at or after the last cursor any more (it
    was restored, or emptied), everything is read again as well, with a warning. A cursor that lies ahead of the
    database's clock is read, but does not move the state past it.

    Only the columns that the maps name are asked for, in a transaction that writes nothing and is rolled back.

    Args:
        source: what to read; the password is ``CXLOOP_SOURCE_<NAME>_PASSWORD``.
        state: kept by the caller; moves after each batch has been taken.
        batch_rows: rows of the largest batch.

    Yields:
        At least one batch; positions count the rows of this reading from 1, the last batch has ``is_last``.

    Raises:
        SourceError: no driver, no answer, a wrong password, no such table or column, a lost connection: what to do.
    """
    with connected(source) as connection:
        counted = _Counted()
        try:
            rows, kinds = _find_rows(connection, source)
            floor = _floor(connection, source, rows, state)
            now = connection.execute(sa.select(sa.func.current_timestamp())).scalar_one()
            reading = _Reading(source, _columns_of_paths(source, list(kinds)), kinds)
            statement = _statement(source, rows, reading.columns, floor)
            result = connection.execution_options(yield_per=_FETCHED).execute(statement)
            for batch, last in _batches(reading, result, batch_rows, counted, now):
                yield batch
                if last is not None:
                    state.update(of=_identity(source), cursor=last.to_json())
        except exc.SQLAlchemyError as error:
            is_lost = isinstance(error, exc.DBAPIError) and error.connection_invalidated
            raise broken(source, error, rows=counted.rows, is_lost=is_lost) from None


@dataclass
class _Counted:
    rows: int = 0


@dataclass(frozen=True)
class _Reading:
    """What is read of each row.

    ``paths`` has the column of each path that has one, ``kinds`` the type of each column where it was asked for.
    """

    source: SqlSource
    paths: Mapping[str, str]
    kinds: Mapping[str, Any]

    @cached_property
    def wanted(self) -> tuple[str, ...]:
        """The columns that the maps read."""
        return tuple(dict.fromkeys(self.paths.values()))

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns that are asked for."""
        cursor = self.source.cursor
        return self.wanted if not cursor or cursor in self.wanted else (*self.wanted, cursor)

    @cached_property
    def entered(self) -> frozenset[str]:
        """The columns that a path goes into: JSON, also where the database calls it text."""
        return frozenset(column for path, column in self.paths.items() if path != column)

    def parse(self, column: str, value: Any) -> Any:
        """Return ``value`` as what its column holds, where the driver gives a text or a number for JSON or a flag."""
        is_json = isinstance(self.kinds[column], sa.JSON)
        if isinstance(value, str) and (is_json or (column in self.entered and value.lstrip().startswith(("{", "[")))):
            return parse_json(value)
        is_flag = isinstance(self.kinds[column], sa.Boolean) and value in (0, 1)
        return bool(value) if is_flag else value


def _find_rows(connection: sa.Connection, source: SqlSource) -> tuple[sa.FromClause, dict[str, Any]]:
    """Return what to select from, and its columns with their types (None where the driver's values say enough)."""
    inspector = sa.inspect(connection) if source.table else None
    schema, _, table = source.table.rpartition(".")
    try:
        nothing = sa.select(sa.text("*")).select_from(_from(source)).where(sa.false())
        names = list(connection.execute(nothing).keys())
    except exc.DBAPIError:
        connection.rollback()
        if inspector is None or inspector.has_table(table, schema=schema or None):
            raise
        found = inspector.get_table_names(schema or None) + inspector.get_view_names(schema or None)
        raise no_table(source, found) from None
    kinds: dict[str, Any] = dict.fromkeys(names)
    if inspector is not None and connection.dialect.name == "sqlite":
        kinds |= {column["name"]: column["type"] for column in inspector.get_columns(table, schema=schema or None)}
    return _from(source, names), kinds


def _from(source: SqlSource, names: list[str] | None = None) -> Any:
    columns = [sa.column(name) for name in names or []]
    if source.query:
        escaped = bare_select(source.query).replace(":", r"\:")
        return sa.text(f"{escaped}\n").columns(*columns).subquery("cxloop_rows")
    schema, _, table = source.table.rpartition(".")
    return sa.table(table, *columns, schema=schema or None)


def _columns_of_paths(source: SqlSource, names: list[str]) -> dict[str, str]:
    """Return the column that each path reads; raise where one that is needed is missing."""
    columns = {path: path if path in names else path.split(".")[0].split("[")[0] for path in source.paths}
    missing = [columns[path] for path in source.required_paths if columns[path] not in names]
    if source.cursor and source.cursor not in names:
        missing.append(source.cursor)
    found = {path: column for path, column in columns.items() if column in names}
    if missing or not found:
        raise no_column(source, list(dict.fromkeys(missing or columns.values())), names)
    return found


def _statement(source: SqlSource, rows: Any, columns: tuple[str, ...], floor: Any) -> Any:
    statement = sa.select(*(rows.c[column] for column in columns))
    if not source.cursor:
        return statement
    cursor = rows.c[source.cursor]
    if floor is not None:
        statement = statement.where(sa.or_(cursor >= floor, cursor.is_(None)))
    return statement.order_by(cursor)


def _floor(connection: sa.Connection, source: SqlSource, rows: Any, state: dict[str, Any]) -> Any:
    """Return the cursor value to read from, None for everything; forget a state that no longer fits."""
    if not source.cursor or source.cursor not in rows.c or state.get("of") != _identity(source):
        _forget(state)
        return None
    cursor = rows.c[source.cursor]
    floor = Cursor.from_json(state["cursor"]).before(source.overlap)
    try:
        if connection.execute(sa.select(sa.literal(1)).select_from(rows).where(cursor >= floor).limit(1)).first():
            return floor
    except (exc.ProgrammingError, exc.DataError):  # the column has another type than it had
        connection.rollback()
    _forget(state)
    if connection.execute(sa.select(sa.literal(1)).select_from(rows).where(cursor.is_not(None)).limit(1)).first():
        log.warning(
            "source %s: the cursor %s went back (was the database restored?): everything is read again",
            source.name,
            source.cursor,
        )
    return None


def _forget(state: dict[str, Any]) -> None:
    for key in ("of", "cursor"):
        state.pop(key, None)


def _identity(source: SqlSource) -> str:
    return digest([source.url, source.table, source.query, source.cursor])


def _batches(
    reading: _Reading, result: Any, batch_rows: int, counted: _Counted, now: datetime
) -> Iterator[tuple[Batch, Cursor | None]]:
    """Yield each batch with the cursor that has been reached with it."""
    paths = reading.source.paths
    origin = reading.source.table or "query"
    rows: list[tuple[Any, ...]] = []
    refused: list[Refusal] = []
    size, last = 0, None
    for values in result:
        if len(rows) + len(refused) >= batch_rows or size >= _BATCH_CHARACTERS:
            yield Batch(origin, "", raw_frame(rows, paths), tuple(refused), is_last=False), last
            rows, refused, size = [], [], 0
        counted.rows += 1
        record = dict(zip(reading.columns, values, strict=True))
        read = _read_row(reading, record, counted.rows)
        if isinstance(read, Refusal):
            refused.append(read)
        else:
            rows.append((counted.rows, *read))
            size += sum(len(value) for value in read if value)
        if reading.source.cursor:
            last = _moved(reading.source, last, record[reading.source.cursor], now)
    yield Batch(origin, "", raw_frame(rows, paths), tuple(refused), is_last=True), last


def _moved(source: SqlSource, last: Cursor | None, value: Any, now: datetime) -> Cursor | None:
    """Return the cursor reached with a row whose cursor column holds ``value``."""
    if isinstance(value, bool | dict | list):
        raise SourceError(
            f"source {source.name}: the cursor {source.cursor} needs numbers, times or texts, "
            f"found {type(value).__name__}: name another column"
        )
    reached = Cursor.of(value)
    return last if reached is None or reached.is_after(now) else reached


def _read_row(reading: _Reading, record: Mapping[str, Any], position: int) -> tuple[str | None, ...] | Refusal:
    plain: dict[str, Any] = {}
    for column in reading.wanted:
        try:
            plain[column] = reading.parse(column, _plain(record[column]))
        except UnicodeDecodeError:
            return Refusal(position, "broken_encoding", f"{column} is not UTF-8", _digest(record))
        except (ValueError, RecursionError):
            return Refusal(position, "broken_json", f"{column} is not JSON", _digest(record))
    read = read_record(plain, paths=reading.source.paths, position=position)
    if not isinstance(read, Refusal) and sum(len(value) for value in read if value) > ROW_LIMIT:
        return Refusal(position, "line_too_long", f"the row is longer than {ROW_LIMIT:,} characters", _digest(record))
    return read


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode()
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _digest(record: Mapping[str, Any]) -> str:
    return digest(repr(record).encode("utf-8", "backslashreplace").hex())
