"""A person's lines in the gateway's log: found, and erased where they stand.

A line is overwritten by blanks of its own length, so that the places of all others hold, for whoever reads on from
where they stopped, and for the gateway, which may be adding lines at the end meanwhile.
"""

import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from labeling.erasing import Traces
from labeling.errors import StorageError
from labeling.sources.arrivals import customer_key
from labeling.sources.events import SEGMENTS, BrokenLine, decode_event, read_lines

_PARTS: Final = ("interaction", "correction", "escalation", "feedback", "about")


class Line(NamedTuple):
    """One line of a log: its segment, its first byte, and its length without the line's end."""

    segment: Path
    at: int
    length: int


def find_interactions(folder: Path, customers: frozenset[str], *, key: bytes) -> frozenset[str]:
    """Return the ids of the interactions of ``customers`` (keys) that the log holds, taken in or not.

    Raises:
        StorageError: a segment cannot be read.
    """
    if not customers:
        return frozenset()
    lines = find_events(folder, Traces(customers=customers), key=key)
    return frozenset(event["interaction"]["interaction_id"] for line in lines if (event := _read(line)))


def find_events(folder: Path, traces: Traces, *, key: bytes) -> Iterator[Line]:
    """Yield the lines of the log in ``folder`` that are about those of ``traces``.

    Lines of conversations are found where they are in ``traces``, which have no interaction of anybody else. A damaged
    line is nobody's: it was never taken in.

    Args:
        folder: of the log; one that does not exist holds nothing.
        traces: whom to look for.
        key: the home's.

    Raises:
        StorageError: a segment cannot be read.
    """
    for path in sorted(folder.glob(SEGMENTS)):
        try:
            for at, line in read_lines(path):
                if _is_theirs(line, traces, key):
                    yield Line(path, at, len(line) - 1)
        except OSError as error:
            raise StorageError(
                f"{path.name} of the gateway's log cannot be read ({type(error).__name__}): check its rights"
            ) from error


def erase_events(folder: Path, traces: Traces, *, key: bytes) -> int:
    """Blank what ``find_events`` finds, on disk when this returns; return how many lines there were.

    Raises:
        StorageError: a segment cannot be read or written.
    """
    lines = list(find_events(folder, traces, key=key))
    for segment in sorted({line.segment for line in lines}):
        try:
            descriptor = os.open(segment, os.O_WRONLY)
            try:
                for line in lines:
                    if line.segment == segment:
                        os.pwrite(descriptor, b" " * line.length, line.at)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise StorageError(
                f"{segment.name} of the gateway's log cannot be written ({type(error).__name__}): check its rights"
            ) from error
    return len(lines)


def remove_segments(folder: Path, *, read: Mapping[str, int], before: datetime) -> int:
    """Remove the segments that were last written to ``before``, but for the newest; return how many there were.

    Args:
        folder: of the log.
        read: name of a segment to the bytes of it that were taken in; a segment stays until that is all of it.
        before: a time in UTC.
    """
    gone = 0
    for path in sorted(folder.glob(SEGMENTS))[:-1]:
        about = path.stat()
        if about.st_mtime < before.timestamp() and read.get(path.name, 0) >= about.st_size:
            path.unlink()
            gone += 1
    return gone


def _read(line: Line) -> dict[str, Any] | None:
    with line.segment.open("rb") as file:
        file.seek(line.at)
        return decode_event(file.read(line.length))


def _is_theirs(line: bytes, traces: Traces, key: bytes) -> bool:
    try:
        event = decode_event(line)
    except BrokenLine:
        return False
    return event is not None and any(_names(event.get(part) or {}, traces, key) for part in _PARTS)


def _names(part: Mapping[str, Any], traces: Traces, key: bytes) -> bool:
    customer = part.get("customer_id")
    return (
        part.get("interaction_id") in traces.interactions
        or part.get("conversation_id") in traces.conversations
        or (customer is not None and customer_key(key, customer) in traces.customers)
    )
