"""The gateway's log: its lines, and how what is new in them is read.

A log is a folder of segments, files of JSON Lines that only grow at their ends. Each line carries a checksum of the
rest of it. A line that was not written to its end is no line yet. A person's lines are erased in place, by blanks of
the same length, so that every other line stays where it was noted to be.
"""

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from labeling.errors import SourceError
from labeling.sources.lines import LINE_LIMIT
from labeling.sources.records import Batch, raw_frame, read_record
from labeling.sources.refusals import Refusal
from labeling.sources.source import GatewaySource

SEGMENTS: Final = "*.jsonl"
_OPENING: Final = b'{"crc32":"'
_HEAD: Final = len(_OPENING) + 8 + len(b'",')
_DECODER: Final = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
_BATCH_LINES: Final = 50_000


class BrokenLine(ValueError):
    """A whole line of a log is not what was written."""


def encode_event(event: Mapping[str, Any]) -> bytes:
    """Return ``event``, which must not be empty, as a line with its checksum and line end."""
    rest = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()[1:]
    return b'%s%08x",%s\n' % (_OPENING, zlib.crc32(rest), rest)


def decode_event(line: bytes) -> dict[str, Any] | None:
    """Return the event of a whole ``line``, None where it was erased.

    Raises:
        BrokenLine: the checksum is not that of the rest.
    """
    content = _verify(line)
    return None if content is None else json.loads(content)


def _verify(line: bytes) -> bytes | None:
    """Return the JSON of a whole ``line`` without its checksum, None where it was erased."""
    rest = line.rstrip(b"\n")
    if not rest.strip(b" "):
        return None
    if rest[:_HEAD] != b'%s%08x",' % (_OPENING, zlib.crc32(rest[_HEAD:])):
        raise BrokenLine("the line's checksum is not that of its content")
    return b"{" + rest[_HEAD:]


def read_lines(path: Path, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield the whole lines of a segment from byte ``start`` on, each with the byte it begins at.

    Raises:
        OSError: the segment cannot be read.
    """
    with path.open("rb") as file:
        file.seek(start)
        for line in file:
            if not line.endswith(b"\n"):
                return
            yield start, line
            start += len(line)


def read_events(source: GatewaySource, *, folder: Path, taken: frozenset[tuple[str, str]]) -> Iterator[Batch]:
    """Yield what was added to each segment of the log since it was last read.

    The origin is the segment's path relative to ``folder``, the version ``<first byte>-<byte after the last>``, the
    position of a row the byte after that at which its line begins.

    Args:
        source: where the log is; a folder that does not exist holds no events.
        folder: the home.
        taken: origin and version of what was read before.

    Raises:
        SourceError: a segment cannot be read.
    """
    done = find_ends(taken)
    for path in sorted((folder / source.path).glob(SEGMENTS)):
        origin = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix()
        try:
            yield from _read_segment(source, path, origin, done.get(origin, 0))
        except OSError as error:
            raise SourceError(
                f"source {source.name}: {origin} cannot be read ({type(error).__name__}): check its rights and the "
                "disk, and run again"
            ) from None


def find_ends(taken: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Return origin to the bytes of it that were read, given origin and version of what was taken in."""
    done: dict[str, int] = {}
    for origin, version in taken:
        done[origin] = max(done.get(origin, 0), int(version.rpartition("-")[2]))
    return done


def _read_segment(source: GatewaySource, path: Path, origin: str, start: int) -> Iterator[Batch]:
    rows: list[tuple[Any, ...]] = []
    refused: list[Refusal] = []
    end = start
    for at, line in read_lines(path, start):
        read = _read_line(at + 1, line, source.paths)
        if isinstance(read, Refusal):
            refused.append(read)
        elif read is not None:
            rows.append(read)
        end = at + len(line)
        if len(rows) + len(refused) >= _BATCH_LINES:
            yield Batch(origin, f"{start}-{end}", raw_frame(rows, source.paths), tuple(refused))
            rows, refused, start = [], [], end
    if end > start:
        yield Batch(origin, f"{start}-{end}", raw_frame(rows, source.paths), tuple(refused))


def _read_line(position: int, line: bytes, paths: tuple[str, ...]) -> tuple[Any, ...] | Refusal | None:
    if len(line) > LINE_LIMIT:
        return Refusal(position, "line_too_long", f"the line is longer than {LINE_LIMIT:,} bytes")
    try:
        content = _verify(line)
        if content is None:
            return None
        record = _DECODER.decode(content.decode())
    except ValueError:
        return Refusal(position, "broken_json", "the line's checksum is not that of its content")
    read = read_record(record, paths=paths, position=position)
    return read if isinstance(read, Refusal) else (position, *read)
