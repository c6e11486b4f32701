"""Raw rows become events: each column from the field, the constant or the word that its source's map names."""

from collections.abc import Mapping
from typing import Final

import polars as pl

from labeling.sources.records import LIST_SEPARATOR, POSITION, ROW_POSITION
from labeling.sources.table_map import ColumnMap, PredictionMap, Split, TableMap, event_columns

_ZONED: Final = r"(?:[zZ]|[+-]\d{2}:?\d{2})$"
_UNIX_SECONDS: Final = {"unix": 1.0, "unix_ms": 1e-3}


def map_rows(rows: pl.DataFrame, table_map: TableMap) -> pl.DataFrame:
    """Return the events that ``rows`` make of one table.

    Args:
        rows: raw rows with a column for each of ``table_map.paths``.
        table_map: where each column comes from.

    Returns:
        ``event_columns`` of the table as strings (null where the map names no origin), and ``position``; without the
        rows that lack what ``table_map.needs``. A time that cannot be read as its map says becomes a text that is no
        time, so that it is refused and not taken for missing.
    """
    if table_map.needs:
        rows = rows.filter(pl.col(table_map.needs).str.strip_chars().str.len_chars() > 0)
    return rows.select(pl.col(ROW_POSITION).alias(POSITION), *_columns(table_map.origins, event_columns(table_map.to)))


def map_predictions(rows: pl.DataFrame, said: PredictionMap) -> pl.DataFrame:
    """Return what models said of the same rows: the columns of ``said`` as strings, ``task`` and ``position``."""
    return rows.select(
        pl.col(ROW_POSITION).alias(POSITION), *_columns(said.columns, tuple(said.columns)), task=pl.lit(said.task)
    )


def _columns(origins: Mapping[str, ColumnMap], columns: tuple[str, ...]) -> list[pl.Expr]:
    nothing = pl.lit(None, pl.String)
    return [(_value(origins[column]) if column in origins else nothing).alias(column) for column in columns]


def _value(origin: ColumnMap) -> pl.Expr:
    if origin.constant is not None:
        return pl.lit(origin.constant)
    value = pl.col(origin.from_)
    if origin.split:
        value = _split(value, origin.split)
    if origin.values:
        others = value if origin.others == "keep" else None
        words, ours = list(origin.values), list(origin.values.values())
        value = value.replace_strict(words, ours, default=others, return_dtype=pl.String)
    if origin.time or origin.zone:
        value = _time(value, origin)
    return pl.concat_str(pl.lit(origin.prefix), value) if origin.prefix else value


def _split(value: pl.Expr, split: Split) -> pl.Expr:
    is_list = value.str.contains(LIST_SEPARATOR, literal=True)
    items = pl.when(is_list).then(value.str.split(LIST_SEPARATOR)).otherwise(value.str.split(split.by))
    items = items.list.eval(pl.element().str.strip_chars())
    if split.item:
        return items.list.get(split.item - 1, null_on_oob=True)
    wanted = items.list.eval(pl.element().filter(pl.element().str.starts_with(split.prefix)))
    return wanted.list.get(0, null_on_oob=True).str.strip_prefix(split.prefix)


def _time(value: pl.Expr, origin: ColumnMap) -> pl.Expr:
    """Return ``value`` as ISO 8601 with a zone; what cannot be read so stays as it is."""
    text = value.str.strip_chars()
    if origin.time in _UNIX_SECONDS:
        seconds = text.cast(pl.Float64, strict=False) * _UNIX_SECONDS[origin.time]
        read = (seconds * 1e6).round().cast(pl.Int64, strict=False).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    elif origin.time and ("%z" in origin.time or "%#z" in origin.time):
        read = text.str.to_datetime(origin.time, time_unit="us", strict=False).dt.convert_time_zone("UTC")
    else:
        read = _local(text, origin)
    return pl.coalesce(read.dt.convert_time_zone("UTC").dt.to_string("iso:strict"), value)


def _local(text: pl.Expr, origin: ColumnMap) -> pl.Expr:
    """Read times without a zone as local ones of ``origin.zone``; one that a clock change skips or repeats stays."""
    if not origin.zone:
        return pl.lit(None, pl.Datetime("us", "UTC"))
    form = origin.time or None
    bare = pl.when(~text.str.contains(_ZONED)).then(text)
    if form is None:
        bare = bare.str.replace(" ", "T", literal=True)
    read = bare.str.to_datetime(form or "%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False)
    local = read.dt.replace_time_zone(origin.zone, ambiguous="null", non_existent="null")
    return local.dt.convert_time_zone("UTC")
