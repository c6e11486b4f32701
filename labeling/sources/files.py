"""Events from JSON Lines files: which files are new, and what their lines say."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, Self

import polars as pl
from pydantic import Field, model_validator

from labeling.config import Config
from labeling.errors import SourceError
from labeling.sources.refusals import Refusal

LINE_LIMIT: Final = 1_000_000
"""Bytes of the longest line that is decoded; a longer one is refused unread."""


class Source(Config):
    """One place that events of one table come from.

    ``path`` is a folder (its ``*.jsonl`` files are read) or a file name pattern in one, relative to the home.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    kind: Literal["files"]
    table: Literal["interactions", "corrections", "escalations", "reviews"]
    path: str = Field(min_length=1)


class SourcesConfig(Config):
    """configs/sources.yaml: any number of sources, any number of them for one table."""

    schema_version: Literal[1]
    sources: tuple[Source, ...] = ()

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        names = [source.name for source in self.sources]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"source names must differ, repeated: {', '.join(repeated)}")
        return self

    def of_table(self, table: str) -> tuple[Source, ...]:
        """Return the sources of ``table`` in the order of the file."""
        return tuple(source for source in self.sources if source.table == table)


@dataclass(frozen=True)
class SourceFile:
    """One file with something new; ``name`` is its path relative to the home where it lies inside."""

    path: Path
    name: str
    digest: str


@dataclass(frozen=True)
class Arrivals:
    """The lines of one file: those that could be read, and why the others could not.

    ``rows`` holds every asked column as a string (null where the line lacks it) and ``position``, the line from 1.
    Blank lines are neither.
    """

    rows: pl.DataFrame
    refused: tuple[Refusal, ...]


def new_files(source: Source, *, folder: Path, deliveries: pl.DataFrame) -> list[SourceFile]:
    """Return the files of ``source`` whose content was not taken in yet, by name.

    Args:
        source: where to look; a folder that does not exist holds no files.
        folder: what ``source.path`` is relative to.
        deliveries: DELIVERIES table.

    Raises:
        SourceError: a file or folder is there and cannot be read.
    """
    taken = set(deliveries.filter(pl.col("table") == source.table).select("path", "digest").iter_rows())
    found = []
    for path in _files(folder / source.path):
        name = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix()
        file = SourceFile(path, name, _digest(source, path))
        if (file.name, file.digest) not in taken:
            found.append(file)
    return found


def read_events(path: Path, *, columns: Sequence[str]) -> Arrivals:
    """Read one JSON object a line, robust against anything else that a line can be.

    Numbers keep the digits they were written with; unknown keys are ignored; half of a surrogate pair becomes U+FFFD.

    Args:
        path: a JSON Lines file in UTF-8, with or without a byte order mark.
        columns: the keys to keep.

    Raises:
        SourceError: the file cannot be read.
    """
    rows: list[tuple[Any, ...]] = []
    refused: list[Refusal] = []
    try:
        with path.open("rb") as handle:
            for position, line, too_long in _lines(handle):
                read = _read_line(position, line, too_long, columns)
                if isinstance(read, Refusal):
                    refused.append(read)
                else:
                    rows.append((position, *read))
    except OSError as error:
        raise _unreadable(path, error) from error
    schema = {"position": pl.Int64, **dict.fromkeys(columns, pl.String)}
    return Arrivals(pl.DataFrame(rows, schema=pl.Schema(schema), orient="row"), tuple(refused))


def _files(place: Path) -> list[Path]:
    pattern, folder = ("*.jsonl", place) if place.is_dir() else (place.name, place.parent)
    try:
        return sorted(path for path in folder.glob(pattern) if path.is_file()) if folder.is_dir() else []
    except OSError as error:
        raise _unreadable(folder, error) from error


def _digest(source: Source, path: Path) -> str:
    try:
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error, source=source.name) from error


def _lines(handle: BinaryIO) -> Iterator[tuple[int, bytes, str]]:
    """Yield position, line and, for a line over the limit, the SHA-256 of the whole of it (else empty)."""
    position = 0
    while line := handle.readline(LINE_LIMIT + 1):
        position += 1
        too_long = ""
        if len(line) > LINE_LIMIT:
            whole = hashlib.sha256(line)
            while line and not line.endswith(b"\n"):
                line = handle.readline(LINE_LIMIT)
                whole.update(line)
            line, too_long = b"...", whole.hexdigest()
        if line.strip():
            yield position, line, too_long


def _read_line(position: int, line: bytes, too_long: str, columns: Sequence[str]) -> tuple[str | None, ...] | Refusal:
    if too_long:
        return Refusal(position, "line_too_long", f"the line is longer than {LINE_LIMIT:,} bytes", too_long)
    content = hashlib.sha256
    try:
        text = line.decode("utf-8-sig" if position == 1 else "utf-8")
    except UnicodeDecodeError:
        return Refusal(position, "broken_encoding", "the line is not UTF-8", content(line).hexdigest())
    try:
        event = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return Refusal(position, "broken_json", "the line is not JSON", content(line).hexdigest())
    if not isinstance(event, dict):
        return Refusal(position, "not_an_object", "the line is JSON, not an object", content(line).hexdigest())
    values = tuple(event.get(column) for column in columns)
    nested = [column for column, value in zip(columns, values, strict=True) if isinstance(value, dict | list)]
    if nested:
        reason = f"a single value is needed, found a list or an object: {', '.join(nested)}"
        return Refusal(position, "nested_value", reason, content(line).hexdigest())
    return tuple(_as_text(value) for value in values)


def _as_text(value: str | bool | None) -> str | None:
    if value is None or isinstance(value, bool):
        return None if value is None else str(value).lower()
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def _unreadable(path: Path, error: OSError, *, source: str = "") -> SourceError:
    named = f"source {source}: " if source else ""
    return SourceError(f"{named}{path} cannot be read ({type(error).__name__}): check its rights and run again")
