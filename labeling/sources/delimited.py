"""CSV files after RFC 4180: quoted fields may hold separators, quotes and line ends; a bad record harms no other."""

import csv
import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

import polars as pl

from labeling.sources.formats import Piece, Row, gather, refuse_rest
from labeling.sources.lines import LINE_LIMIT, DamagedFile, split_lines
from labeling.sources.refusals import Refusal

_SEPARATORS: Final = (",", ";", "\t", "|")
_NAMES_SHOWN: Final = 30
_HELD: Final = 1_000
"""Lines of a record that are held one by one; a line takes many times its length."""


def read_csv(
    chunks: Iterator[bytes], *, separator: str, paths: Sequence[str], required: Sequence[str], batch_rows: int
) -> Iterator[Piece]:
    """Read records under a header; an empty field is null.

    The position is the line on which a record starts. A record is what stands under the header and is not blank, a
    header that cannot be read, or the rest of a file that cannot be read on. Where a needed column is missing, every
    record is refused. A quote that is opened and not closed properly costs its own line, not those after it; one that
    is not closed within ``LINE_LIMIT`` bytes costs all up to where it is, since content must never be taken for rows.

    Args:
        chunks: the bytes of the file, see ``labeling.sources.lines.read_chunks``.
        separator: one character.
        paths: the columns to keep; those that the file lacks are null.
        required: the columns that the file must have; at least one of ``paths`` in any case.
        batch_rows: the most rows and refusals of a piece.
    """
    csv.field_size_limit(max(csv.field_size_limit(), LINE_LIMIT))
    events = _events(_Feed(chunks), separator, tuple(paths), tuple(required))
    empty_is_null = [pl.when(pl.col(path) != "").then(pl.col(path)).alias(path) for path in paths]
    for piece in gather(events, paths=paths, batch_rows=batch_rows):
        yield Piece(piece.rows.with_columns(empty_is_null), piece.refused)


def describe_missing(missing: Sequence[str], found: Sequence[str]) -> str:
    """Return the reason of ``missing_column``; ``found`` must be names for certain."""
    shown = [name[:60] for name in found[:_NAMES_SHOWN]] + ["…"] * (len(found) > _NAMES_SHOWN)
    return f"a needed column is missing: {', '.join(missing)}; found {len(found)} columns: {', '.join(shown)}"


class _TooLong(Exception):
    """A record over the limit was skipped; holds its SHA-256."""


class _Feed:
    """The lines of a file for ``csv.reader``; those of a record that went wrong can be given back.

    Attributes:
        read: lines given so far.
        first: the line on which the record under way starts.
        held: its lines, joined where they are many.
        is_broken: one of them is not UTF-8 (its broken bytes are lone surrogates).
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._lines = split_lines(chunks)
        self._back: deque[bytes] = deque()
        self.read = 0
        self.begin()

    def begin(self) -> None:
        self.first = self.read + 1
        self.held: list[bytes] = []
        self.size = 0
        self.is_broken = False

    def give_back(self) -> None:
        """Go back to the second line of the record under way."""
        first, *others = b"".join(self.held).splitlines(keepends=True)
        self._back.extendleft(reversed(others))
        self.held, self.read = [first], self.first

    def digest(self) -> str:
        return hashlib.sha256(b"".join(self.held)).hexdigest()

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        line, is_end = self._take()
        self.held.append(line)
        if len(self.held) > _HELD:
            self.held = [b"".join(self.held)]
        self.size += len(line)
        if not is_end or self.size > LINE_LIMIT:
            raise _TooLong(self._skip(is_end))
        try:
            return line.decode()
        except UnicodeDecodeError:
            self.is_broken = True
            return line.decode("utf-8", "surrogateescape")

    def _take(self) -> tuple[bytes, bool]:
        line, is_end = (self._back.popleft(), True) if self._back else next(self._lines)
        self.read += is_end
        return line, is_end

    def _skip(self, is_end: bool) -> str:
        """Go on to the end of the record, which is the first line end outside quotes."""
        whole = hashlib.sha256(b"".join(self.held))
        quotes = sum(line.count(b'"') for line in self.held)
        while not is_end or quotes % 2:
            try:
                line, is_end = self._take()
            except StopIteration:
                break
            whole.update(line)
            quotes += line.count(b'"')
        return whole.hexdigest()


@dataclass(frozen=True)
class _Header:
    """``take`` picks the values of the paths from a record with a None at its end; ``fault``: why none can be read."""

    width: int
    take: Any = None
    fault: tuple[str, str] | None = None


def _events(
    feed: _Feed, separator: str, paths: tuple[str, ...], required: tuple[str, ...]
) -> Iterator[tuple[Row | Refusal, int]]:
    reader = csv.reader(feed, delimiter=separator, strict=True)
    header: _Header | None = None
    unread = _Header(0, fault=("missing_column", "the header cannot be read"))
    while True:
        feed.begin()
        try:
            fields: list[Any] = next(reader)
        except StopIteration:
            return
        except csv.Error:
            feed.give_back()
            yield Refusal(feed.first, "broken_quoting", "a quote is not closed properly", feed.digest()), feed.size
            header = header or unread
        except _TooLong as skipped:
            reason = f"the record is longer than {LINE_LIMIT:,} bytes; it ends on line {feed.read}"
            yield Refusal(feed.first, "field_too_long", reason, str(skipped)), 0
            header = header or unread
        except DamagedFile as fault:
            yield refuse_rest(fault, feed.first - 1), 0
            return
        else:
            if len(fields) <= 1 and not "".join(fields).strip():
                continue
            if header is None:
                header = _read_header(fields, separator, paths, required)
            else:
                yield _read_record(fields, header, feed), feed.size


def _read_record(fields: list[Any], header: _Header, feed: _Feed) -> Row | Refusal:
    if header.fault:
        return Refusal(feed.first, *header.fault, feed.digest())
    if feed.is_broken:
        return Refusal(feed.first, "broken_encoding", "the record is not UTF-8", feed.digest())
    if len(fields) != header.width:
        reason = f"{header.width} fields are needed, found {len(fields)}"
        return Refusal(feed.first, "ragged_row", reason, feed.digest())
    fields.append(None)
    return (feed.first, *header.take(fields))


def _read_header(fields: list[str], separator: str, paths: tuple[str, ...], required: tuple[str, ...]) -> _Header:
    names = [name.strip() for name in fields]
    if repeated := [path for path in paths if names.count(path) > 1]:
        fault = "repeated_column", f"a column is needed once, found more than once: {', '.join(repeated)}"
        return _Header(len(names), fault=fault)
    known = [path for path in paths if path in names]
    missing = [path for path in required if path not in names]
    if missing or (paths and not known):
        reason = describe_missing(missing or paths, names) if known else _describe_strange(fields, separator, paths)
        return _Header(len(names), fault=("missing_column", reason))
    places = [names.index(path) if path in names else len(names) for path in paths]
    return _Header(len(names), _picker(places))


def _describe_strange(fields: list[str], separator: str, paths: tuple[str, ...]) -> str:
    """Describe a header without any known name; it may be no header at all, so its words are not shown."""
    others = [other for other in _SEPARATORS if other != separator]
    line = separator.join(fields)
    likely = [other for other in others if set(paths) & {name.strip() for name in line.split(other)}]
    hint = f"; the separator seems to be {likely[0]!r}, not {separator!r}" if likely else ""
    return f"none of the needed columns is there, {', '.join(paths)}; found {len(fields)} other columns{hint}"


def _picker(places: list[int]) -> Any:
    if len(places) > 1:
        return itemgetter(*places)
    return lambda fields: [fields[place] for place in places]
