"""JSON Lines files, and what every format has in common: rows and refusals in pieces that fit in memory."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from labeling.sources.lines import LINE_LIMIT, DamagedFile, limit_lines
from labeling.sources.path import pick
from labeling.sources.records import ROW_POSITION, read_record
from labeling.sources.refusals import Refusal

PIECE_BYTES: Final = 64_000_000
"""Bytes of a file after which a piece ends, however few its rows are."""
_DECODER: Final = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
_PLAIN: Final = {str, type(None)}
_HALF_PAIR: Final = re.compile(r"\\u[dD][89a-fA-F]")

Row = tuple[Any, ...]
"""Position and one string or None a path."""


@dataclass(frozen=True)
class Piece:
    """Some rows of a file, as in ``labeling.sources.records.Batch``."""

    rows: pl.DataFrame
    refused: tuple[Refusal, ...] = ()


def gather(events: Iterable[tuple[Row | Refusal, int]], *, paths: Sequence[str], batch_rows: int) -> Iterator[Piece]:
    """Yield pieces of at most ``batch_rows`` rows and refusals; each event comes with its size in bytes."""
    rows: list[Row] = []
    refused: list[Refusal] = []
    size = 0
    for event, length in events:
        if isinstance(event, Refusal):
            refused.append(event)
        else:
            rows.append(event)
        size += length
        if len(rows) + len(refused) >= batch_rows or size >= PIECE_BYTES:
            yield Piece(_frame(rows, paths), tuple(refused))
            rows, refused, size = [], [], 0
    if rows or refused:
        yield Piece(_frame(rows, paths), tuple(refused))


def refuse_rest(fault: DamagedFile, position: int) -> Refusal:
    """Return the one refusal of all that could not be read after the line or row at ``position`` (0: of the file)."""
    return Refusal(position and position + 1, fault.code, fault.reason)


def read_json_lines(chunks: Iterator[bytes], *, paths: Sequence[str], batch_rows: int) -> Iterator[Piece]:
    """Read one JSON object a line, robust against anything else that a line can be.

    Numbers keep the digits they were written with; unknown keys are ignored; half of a surrogate pair becomes U+FFFD.
    The position is the line; a record is a line that is not blank, or the rest of a file that cannot be read on.

    Args:
        chunks: the bytes of the file, see ``labeling.sources.lines.read_chunks``.
        paths: what to keep of each object.
        batch_rows: the most rows and refusals of a piece.
    """
    return gather(_json_events(chunks, tuple(paths)), paths=paths, batch_rows=batch_rows)


def _json_events(chunks: Iterator[bytes], paths: tuple[str, ...]) -> Iterator[tuple[Row | Refusal, int]]:
    is_flat = not any("." in path or "[" in path for path in paths)
    position = 0
    try:
        for position, line, too_long in limit_lines(chunks):
            if too_long:
                yield Refusal(position, "line_too_long", f"the line is longer than {LINE_LIMIT:,} bytes", too_long), 0
            elif line.strip():
                yield _read_line(position, line, paths, is_flat=is_flat), len(line)
    except DamagedFile as fault:
        yield refuse_rest(fault, position), 0


def _read_line(position: int, line: bytes, paths: tuple[str, ...], *, is_flat: bool) -> Row | Refusal:
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return Refusal(position, "broken_encoding", "the line is not UTF-8", hashlib.sha256(line).hexdigest())
    try:
        record = _DECODER.decode(text)
    except (ValueError, RecursionError):
        return Refusal(position, "broken_json", "the line is not JSON", hashlib.sha256(line).hexdigest())
    if type(record) is dict and not ("\\u" in text and _HALF_PAIR.search(text)):
        values = [record.get(path) if is_flat else pick(record, path) for path in paths]
        if _PLAIN.issuperset(map(type, values)):
            return (position, *values)
    read = read_record(record, paths=paths, position=position)
    return read if isinstance(read, Refusal) else (position, *read)


def _frame(rows: list[Row], paths: Sequence[str]) -> pl.DataFrame:
    schema = pl.Schema({ROW_POSITION: pl.Int64, **dict.fromkeys(paths, pl.String)})
    columns = zip(*rows, strict=True) if rows else ([] for _ in schema)
    return pl.DataFrame(dict(zip(schema, columns, strict=True)), schema=schema)
