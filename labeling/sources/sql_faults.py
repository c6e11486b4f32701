"""What a database's errors mean: SourceErrors that name the source and the remedy, and pass on no row's content.

Drivers put statements, parameters and values of rows into their messages. Only messages about names and grammar are
passed on: they repeat what stands in sources.yaml.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa  # noqa: TID253 - this file is imported where a SQL source is read, and nowhere else
from sqlalchemy import exc  # noqa: TID253

from labeling.errors import SourceError
from labeling.sources.source import SqlSource

_PACKAGES: Final = {
    "psycopg": "psycopg[binary]",
    "psycopg2": "psycopg2-binary",
    "MySQLdb": "mysqlclient",
    "snowflake": "snowflake-sqlalchemy",
    "bigquery": "sqlalchemy-bigquery",
    "redshift": "sqlalchemy-redshift",
    "duckdb": "duckdb-engine",
    "databricks": "databricks-sqlalchemy",
    "trino": "trino",
    "clickhouse": "clickhouse-sqlalchemy",
}
_REFUSED: Final = re.compile(
    r"password authentication failed|no password supplied|access denied for user|login failed|ORA-01017"
    r"|authentication failed|role \"[^\"]*\" does not exist",
    re.IGNORECASE,
)
_NO_DATABASE: Final = re.compile(r"database \"[^\"]*\" does not exist|unknown database", re.IGNORECASE)
_NAMES_ONLY: Final = re.compile(r"^(no such (table|column|function)|near \"|ambiguous column|incomplete input)")
_LISTED: Final = 20


def no_driver(source: SqlSource, error: exc.NoSuchModuleError | ImportError) -> SourceError:
    """Return what to say where nothing installed speaks to the database of ``source``."""
    drivername = sa.make_url(source.url).drivername
    module = (error.name or "").split(".")[0] if isinstance(error, ImportError) else drivername.split("+")[0]
    package = _PACKAGES.get(module, module)
    return SourceError(f"source {source.name}: {drivername} needs the package {package}: pip install '{package}'")


def not_reached(source: SqlSource, error: Exception) -> SourceError:
    """Return what to say where no connection came about."""
    url, said = sa.make_url(source.url), _message(error)
    if _REFUSED.search(said):
        return SourceError(
            f"source {source.name}: the database refused the user or the password: "
            f"set CXLOOP_SOURCE_{source.name.upper()}_PASSWORD, and check the user in the url"
        )
    if _NO_DATABASE.search(said):
        return SourceError(f"source {source.name}: there is no database {url.database}: check the url")
    return SourceError(
        f"source {source.name}: the database at {place_of(url)} does not answer ({_kind(error)}): "
        "start it or mend the url, and run again"
    )


def broken(source: SqlSource, error: Exception, *, rows: int, is_lost: bool) -> SourceError:
    """Return what to say where a statement failed after ``rows`` rows; those that were taken in stay."""
    if is_lost:
        return SourceError(
            f"source {source.name}: the connection was lost after {rows:,} rows: what was read is kept, run again"
        )
    if _code(error) == "42501":
        what = source.table or "what the query names"
        return SourceError(f"source {source.name}: the user may not read {what}: grant it select")
    what = f"table {source.table}" if source.table else "the query"
    said = _message(error)
    names_only = _code(error).startswith("42") or _NAMES_ONLY.match(said)
    detail = f"{_kind(error)}: {said.splitlines()[0]}" if names_only and said else _kind(error)
    return SourceError(
        f"source {source.name}: {what} could not be read after {rows:,} rows ({detail}): "
        "mend that and run again, what was read is stored"
    )


def no_table(source: SqlSource, names: Sequence[str]) -> SourceError:
    """Return what to say where ``source.table`` is not among ``names``, the tables that there are."""
    return SourceError(f"source {source.name} needs table {source.table}, the database has {_listed(names)}")


def no_column(source: SqlSource, missing: Sequence[str], names: Sequence[str]) -> SourceError:
    """Return what to say where the rows lack columns that sources.yaml names."""
    what = "table" if source.table else "query"
    return SourceError(
        f"source {source.name} needs column {', '.join(missing)}, the {what} has {_listed(names)}: "
        "mend sources.yaml, or the view that it reads"
    )


def place_of(url: sa.URL) -> str:
    """Return host and port, or the file, without user, password and options."""
    if not url.host:
        return url.database or url.get_backend_name()
    return f"{url.host}:{url.port}" if url.port else url.host


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(sorted(names)[:_LISTED]) or "none that this user may see"
    return shown + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")


def _origin(error: Exception) -> Any:
    return getattr(error, "orig", None) or error


def _message(error: Exception) -> str:
    found = _origin(error)
    return getattr(getattr(found, "diag", None), "message_primary", None) or str(found)


def _code(error: Exception) -> str:
    return str(getattr(_origin(error), "sqlstate", None) or "")


def _kind(error: Exception) -> str:
    return type(_origin(error)).__name__
