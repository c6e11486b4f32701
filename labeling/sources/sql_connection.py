"""A connection to a source's database: read only, with its password from the environment, tolerant of odd values."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

# this file is imported where a SQL source is read, and nowhere else
import sqlalchemy as sa  # noqa: TID253
from sqlalchemy import event, exc  # noqa: TID253
from sqlalchemy.pool import NullPool  # noqa: TID253

from labeling.errors import SourceError
from labeling.sources.source import SqlSource
from labeling.sources.sql_faults import no_driver, not_reached

_READ_ONLY: Final = {
    "sqlite": "PRAGMA query_only = ON",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "mariadb": "SET SESSION TRANSACTION READ ONLY",
}


class _BrokenText(bytes):
    """A text in SQLite that is not UTF-8."""


class _NoTime(str):
    """A time that Python has none for: infinity, before the year 1, after 9999."""

    __slots__ = ()


@contextlib.contextmanager
def connected(source: SqlSource) -> Iterator[sa.Connection]:
    """Open a connection that writes nothing, where the database can promise that; at the end it is rolled back.

    Texts in SQLite that are not UTF-8 come as bytes, times that Python lacks as text.

    Raises:
        SourceError: no driver, no answer, no such database, a wrong password.
    """
    url = _url(source)
    if url.get_backend_name() == "sqlite" and url.database and not Path(url.database).is_file():
        raise SourceError(f"source {source.name} needs the SQLite file {url.database}, there is none: mend the url")
    try:
        engine = _engine(url)
    except (exc.NoSuchModuleError, ImportError) as error:
        raise no_driver(source, error) from None
    try:
        connection = engine.connect()
    except (exc.SQLAlchemyError, OSError) as error:
        raise not_reached(source, error) from None
    try:
        if url.get_backend_name() == "postgresql":
            connection = connection.execution_options(postgresql_readonly=True)
        yield connection
    finally:
        with contextlib.suppress(exc.SQLAlchemyError):
            connection.close()


def _url(source: SqlSource) -> sa.URL:
    prefix = f"CXLOOP_SOURCE_{source.name.upper()}_"
    user, password = os.environ.get(f"{prefix}USER") or None, os.environ.get(f"{prefix}PASSWORD") or None
    return sa.make_url(source.url).set(username=user, password=password)


def _engine(url: sa.URL) -> sa.Engine:
    options: dict[str, Any] = {}
    if url.get_backend_name() == "postgresql":
        options["json_deserializer"] = parse_json
    if url.get_driver_name() == "psycopg" and "connect_timeout" not in url.query:
        options["connect_args"] = {"connect_timeout": 15}
    engine = sa.create_engine(url, poolclass=NullPool, hide_parameters=True, **options)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        if statement := _READ_ONLY.get(url.get_backend_name()):
            cursor = connection.cursor()
            cursor.execute(statement)
            cursor.close()
        if url.get_backend_name() == "sqlite":
            connection.text_factory = _decode
        if url.get_driver_name() == "psycopg":
            _keep_odd_times(connection)

    return engine


def _keep_odd_times(connection: Any) -> None:
    """Read times that Python lacks as text: they are refused with their rows, and do not end the reading."""
    from psycopg import DataError
    from psycopg.types import datetime as loaders

    def tolerant(loader: Any) -> Any:
        class Tolerant(loader):
            def load(self, data: Any) -> Any:
                try:
                    return super().load(data)
                except DataError:
                    return _NoTime(bytes(data).decode())

        return Tolerant

    for name, loader in [
        ("timestamptz", loaders.TimestamptzLoader),
        ("timestamp", loaders.TimestampLoader),
        ("date", loaders.DateLoader),
    ]:
        connection.adapters.register_loader(name, tolerant(loader))


def _decode(text: bytes) -> str | _BrokenText:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return _BrokenText(text)


def parse_json(text: str | bytes) -> Any:
    """Return what ``text`` says; every number keeps its digits, as text."""
    return json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
