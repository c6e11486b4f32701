"""Parquet files: columns become strings a batch of rows at a time, without a loop over rows where that can be."""

import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, cast

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from labeling.digests import digest
from labeling.sources.delimited import describe_missing
from labeling.sources.formats import PIECE_BYTES, Piece
from labeling.sources.lines import LINE_LIMIT, StorageFault
from labeling.sources.records import ROW_POSITION, raw_frame, read_record, read_records
from labeling.sources.refusals import Refusal

_DAY: Final = 86_400
_FIRST_DAY: Final = -719_162
"""Year 1, in days from 1970 …"""
_LAST_DAY: Final = 2_932_896
"""… and the end of year 9999: times outside are shown as their number, which is no time."""
_TICKS: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


class _NotSimple(Exception):
    """A column needs the careful way, row by row."""


def read_parquet(file: Any, *, paths: Sequence[str], required: Sequence[str], batch_rows: int) -> Iterator[Piece]:
    """Read a Parquet file, whose row groups are streamed.

    Times are ISO 8601, with a zone where the column has one; a path may lead into structs. The position is the row,
    from 1; a record is a row, or the rest of a file that cannot be read on. Where a needed column is missing, every row
    is refused.

    Args:
        file: seekable and binary.
        paths: what to keep; columns that the file lacks are null.
        required: the columns that the file must have; at least one of ``paths`` in any case.
        batch_rows: the most rows of a piece.

    Raises:
        StorageFault: the store does not give the file.
    """
    read = 0
    try:
        parquet = pq.ParquetFile(file, buffer_size=1 << 20, pre_buffer=False)
        roots, fault = _choose_columns(parquet.schema_arrow, paths, required)
        for batch in parquet.iter_batches(_batch_size(parquet.metadata, batch_rows), columns=roots):
            yield _read_batch(batch, fault, paths, first=read + 1)
            read += batch.num_rows
    except StorageFault:
        raise
    except Exception:  # damaged bytes make the decoder fail in any way
        broken = Refusal(read and read + 1, "broken_file", "the file is not Parquet, or damaged")
        yield Piece(raw_frame([], paths), (broken,))


def _batch_size(metadata: Any, batch_rows: int) -> int:
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    widest = max((group.total_byte_size / max(group.num_rows, 1) for group in groups), default=1)
    return int(min(max(PIECE_BYTES / max(widest, 1), 1), batch_rows))


def _choose_columns(
    schema: pa.Schema, paths: Sequence[str], required: Sequence[str]
) -> tuple[list[str], tuple[str, str] | None]:
    """Return the columns to read, and why all rows are refused (None: they are not)."""
    names = list(schema.names)
    roots = {path: path if path in names else path.split(".")[0].split("[")[0] for path in paths}
    missing = [path for path in required if roots[path] not in names]
    known = list(dict.fromkeys(root for root in roots.values() if root in names))
    if repeated := [root for root in known if names.count(root) > 1]:
        return names[:1], ("repeated_column", f"a column is needed once, found more than once: {', '.join(repeated)}")
    if missing or (paths and not known):
        return names[:1], ("missing_column", describe_missing(missing or paths, names))
    return known, None


def _read_batch(batch: pa.RecordBatch, fault: tuple[str, str] | None, paths: Sequence[str], *, first: int) -> Piece:
    if fault:
        refused = tuple(Refusal(first + place, *fault) for place in range(batch.num_rows))
        return Piece(raw_frame([], paths), refused)
    try:
        columns = {path: _as_strings(_column(batch, path), batch.num_rows) for path in paths}
    except (_NotSimple, pa.ArrowException):
        return _read_rows(batch, paths, first=first)
    position = pl.int_range(first, first + batch.num_rows, dtype=pl.Int64, eager=True)
    return _refuse_long(pl.DataFrame({ROW_POSITION: position, **columns}))


def _refuse_long(rows: pl.DataFrame) -> Piece:
    too_long = pl.exclude(ROW_POSITION).str.len_bytes() > LINE_LIMIT
    is_long = pl.any_horizontal(pl.lit(value=False), too_long).fill_null(value=False)
    reason = f"a value is longer than {LINE_LIMIT:,} bytes"
    refused = [Refusal(row[0], "field_too_long", reason, digest(row[1:])) for row in rows.filter(is_long).iter_rows()]
    return Piece(rows.filter(~is_long) if refused else rows, tuple(refused))


def _read_rows(batch: pa.RecordBatch, paths: Sequence[str], *, first: int) -> Piece:
    """Read row by row what cannot be read by columns: lists, texts that are not UTF-8, rare types."""
    with suppress(ValueError, ArithmeticError, pa.ArrowException):
        whole = read_records(batch.to_pylist(), paths=paths, origin="", first_position=first)
        piece = _refuse_long(whole.rows)
        return Piece(piece.rows, piece.refused + whole.refused)
    rows, refused = [], []
    for place in range(batch.num_rows):
        position = first + place
        try:
            record = batch.slice(place, 1).to_pylist()[0]
        except UnicodeDecodeError:
            refused.append(Refusal(position, "broken_encoding", "a text is not UTF-8"))
            continue
        except (ValueError, ArithmeticError, pa.ArrowException):
            refused.append(Refusal(position, "broken_value", "a value cannot be read as its column's type says"))
            continue
        read = read_record(record, paths=paths, position=position)
        if isinstance(read, Refusal):
            refused.append(read)
        else:
            rows.append((position, *read))
    piece = _refuse_long(raw_frame(rows, paths))
    return Piece(piece.rows, (*piece.refused, *refused))


def _column(batch: pa.RecordBatch, path: str) -> Any:
    """Return the array at ``path``, None where the file has none."""
    names = batch.schema.names
    if path in names:
        return batch.column(names.index(path))
    if "[" in path:
        raise _NotSimple
    root, *keys = path.split(".")
    if root not in names:
        return None
    array = batch.column(names.index(root))
    array.validate(full=True)
    for key in keys:
        if not pa.types.is_struct(array.type):
            raise _NotSimple
        place = array.type.get_field_index(key)
        if place < 0:
            return None
        array = array.flatten()[place]
    return array


def _as_strings(array: Any, height: int) -> pl.Series:
    if array is None or pa.types.is_null(array.type):
        return pl.Series([None], dtype=pl.String).new_from_index(0, height)
    array.validate(full=True)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = array.type
    if _is_text(kind) or pa.types.is_decimal(kind):
        array = array.cast(pa.large_string())
    elif pa.types.is_timestamp(kind):
        return _times(array)
    elif pa.types.is_date(kind):
        return _dates(array)
    elif pa.types.is_float16(kind):
        array = array.cast(pa.float32())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise _NotSimple
    return _series(array).cast(pl.String)


def _is_text(kind: pa.DataType) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    binary = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    return any(is_kind(kind) for is_kind in tests + binary)


def _times(array: Any) -> pl.Series:
    unit, zone = array.type.unit, "UTC" if array.type.tz else None
    second = _TICKS[unit]
    ticks = _series(array.cast(pa.int64())).alias("ticks")
    is_time = pl.col("ticks").is_between(_FIRST_DAY * _DAY * second, (_LAST_DAY + 1) * _DAY * second, closed="left")
    scale = 1_000 if unit == "s" else 1
    time = (pl.when(is_time).then("ticks") * scale).cast(pl.Datetime("ms" if unit == "s" else unit, zone))
    text = pl.coalesce(time.dt.to_string("iso:strict"), pl.col("ticks").cast(pl.String))
    return ticks.to_frame().select(text).to_series()


def _dates(array: Any) -> pl.Series:
    days = _series(array.cast(pa.date32()).cast(pa.int32())).alias("days")
    is_day = pl.col("days").is_between(_FIRST_DAY, _LAST_DAY)
    day = pl.when(is_day).then("days").cast(pl.Date)
    text = pl.coalesce(day.dt.to_string("%Y-%m-%d"), pl.col("days").cast(pl.String))
    return days.to_frame().select(text).to_series()


def _series(array: Any) -> pl.Series:
    return cast("pl.Series", pl.from_arrow(array))


def unpack(chunks: Iterator[bytes], *, limit: int) -> io.BytesIO | None:
    """Return ``chunks`` as a file in memory, None where they are more than ``limit`` bytes."""
    whole = io.BytesIO()
    for chunk in chunks:
        if whole.tell() + len(chunk) > limit:
            return None
        whole.write(chunk)
    whole.seek(0)
    return whole
