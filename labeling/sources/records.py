"""Rows of a source as they came, and how JSON-like records become such rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import polars as pl

from labeling.digests import digest
from labeling.sources.path import pick
from labeling.sources.refusals import Refusal

LIST_SEPARATOR: Final = "\x1f"
"""Stands between the items of a list in a raw row; ``split`` takes one of them."""
POSITION: Final = "position"
"""The column of an event's place in its origin, from 1."""
ROW_POSITION: Final = "\x1eposition"
"""The same column in raw rows: a name that no source's field can have."""


@dataclass(frozen=True)
class Batch:
    """Rows of one source as they came.

    Attributes:
        origin: their place in the source: a file's address, a table or ``query``, an endpoint and page (``tickets:3``).
        version: tells two contents of one origin apart (a file's etag or digest); empty where nothing can.
        rows: a string column for each path that was asked for, and ``ROW_POSITION`` (Int64, from 1, unique in the
            origin).
        refused: the rows that could not be read; none of them stands in ``rows``, and each position at most once.
        is_last: with this batch the origin has been read whole.
    """

    origin: str
    version: str
    rows: pl.DataFrame
    refused: tuple[Refusal, ...] = ()
    is_last: bool = True


def raw_frame(rows: Sequence[Sequence[Any]], paths: Sequence[str]) -> pl.DataFrame:
    """Return rows of (position, one string or None a path) as a frame."""
    schema = {ROW_POSITION: pl.Int64, **dict.fromkeys(paths, pl.String)}
    return pl.DataFrame(rows, schema=pl.Schema(schema), orient="row")


def read_records(
    records: Iterable[Any],
    *,
    paths: Sequence[str],
    origin: str,
    version: str = "",
    first_position: int = 1,
    is_last: bool = True,
) -> Batch:
    """Return ``records`` as a batch.

    Numbers keep their digits, flags are true or false, times are ISO 8601, half of a surrogate pair becomes U+FFFD, and
    a list of single values is joined by ``LIST_SEPARATOR``. A record in which something deeper stands at one of
    ``paths``, or that is no mapping, is refused.

    Args:
        records: as a JSON parser or a database driver made them.
        paths: what to keep (see ``labeling.sources.path``).
        origin: see ``Batch``.
        version: see ``Batch``.
        first_position: the position of the first record.
        is_last: see ``Batch``.
    """
    rows: list[tuple[Any, ...]] = []
    refused: list[Refusal] = []
    for position, record in enumerate(records, start=first_position):
        read = read_record(record, paths=paths, position=position)
        if isinstance(read, Refusal):
            refused.append(read)
        else:
            rows.append((position, *read))
    return Batch(origin, version, raw_frame(rows, paths), tuple(refused), is_last)


def read_record(record: Any, *, paths: Sequence[str], position: int) -> tuple[str | None, ...] | Refusal:
    """Return what stands at each of ``paths`` in one record, or why it is refused; see ``read_records``."""
    if not isinstance(record, Mapping):
        return Refusal(position, "not_an_object", "the row is JSON, not an object", _digest(record))
    values = [pick(record, path) for path in paths]
    nested = [path for path, value in zip(paths, values, strict=True) if _is_nested(value)]
    if nested:
        reason = f"a single value or a list of them is needed, found more at: {', '.join(nested)}"
        return Refusal(position, "nested_value", reason, _digest(record))
    return tuple(_as_text(value) for value in values)


def _digest(record: Any) -> str:
    return digest(repr(record).encode("utf-8", "backslashreplace").hex())


def _is_nested(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(isinstance(item, Mapping | list | tuple) for item in value)
    return isinstance(value, Mapping)


def _as_text(value: Any) -> str | None:
    if isinstance(value, list | tuple):
        return LIST_SEPARATOR.join(_as_text(item) or "" for item in value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "replace")
    return None if value is None else _encodable(str(value).lower() if isinstance(value, bool) else str(value))


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
