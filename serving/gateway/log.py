"""The durable log: what was answered is on disk before the answer counts.

Lines (labeling.sources.events) are appended to segments and synchronised with the disk once for all that wait: a group
commit (DeWitt et al., 1984). What a killed process left unfinished at the end of a segment was answered to nobody, and
is cut off when the log is opened again.
"""

import contextlib
import fcntl
import os
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from labeling.errors import HomeError
from labeling.sources.events import SEGMENTS

_LONGEST_TIME: Final = timedelta(days=1)
"""After so long a segment is closed, however small, so that old ones can be removed."""


class Place(NamedTuple):
    """Where a line stands: its segment's name, its first byte and its length."""

    segment: str
    at: int
    length: int


class LogFault(Exception):
    """Nothing of what was to be written is in the log: the disk is full or broken. Holds the error's name."""


class EventLog:
    """The log in ``folder``, of which one process is the only writer. Not safe to use from several threads.

    Raises:
        HomeError: another process writes it, or the folder cannot be written.
    """

    def __init__(self, folder: Path, *, segment_bytes: int, now: Callable[[], datetime]) -> None:
        self.folder = folder
        self._segment_bytes = segment_bytes
        self._now = now
        self._segment: tuple[str, int] | None = None
        self._began = datetime.min.replace(tzinfo=UTC)
        self._size = 0
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = (folder / "writer.lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            before = sorted(folder.glob(SEGMENTS))
            for path in before:
                _cut_unfinished(path)
            self._number = int(before[-1].name.partition("-")[0]) if before else 0
        except BlockingIOError:
            raise HomeError(
                f"the log in {folder} needs one writer, found another gateway that writes it: stop that one first"
            ) from None
        except OSError as error:
            raise HomeError(
                f"the log in {folder} cannot be written ({type(error).__name__}): free some space, or check its rights"
            ) from error

    def append(self, lines: Sequence[bytes]) -> list[Place]:
        """Write ``lines`` and return where they stand, once they are on disk; all of them or none.

        Raises:
            LogFault: none of them is in the log.
        """
        try:
            segment, descriptor = self._open()
            _write_all(descriptor, b"".join(lines))
        except OSError as error:
            self._cut(is_doubtful=False)
            raise LogFault(type(error).__name__) from error
        try:
            os.fdatasync(descriptor)
        except OSError as error:
            self._cut(is_doubtful=True)
            raise LogFault(type(error).__name__) from error
        places = []
        for line in lines:
            places.append(Place(segment, self._size, len(line)))
            self._size += len(line)
        return places

    def read(self, place: Place) -> bytes:
        """Return the line at ``place``.

        Raises:
            OSError: the segment cannot be read, or was removed.
        """
        with (self.folder / place.segment).open("rb") as file:
            file.seek(place.at)
            return file.read(place.length)

    def close(self) -> None:
        """Let go of the log; another process may write it from now on."""
        self._end_segment()
        self._lock.close()

    def _open(self) -> tuple[str, int]:
        """Return name and descriptor of the segment to append to: a new one at first, and after a large or old one."""
        now = self._now()
        if self._segment and self._size < self._segment_bytes and now - self._began < _LONGEST_TIME:
            return self._segment
        self._end_segment()
        self._number += 1
        name = f"{self._number:08}-{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}.jsonl"  # never that of one removed since
        descriptor = os.open(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._segment, self._began, self._size = (name, descriptor), now, 0
        _synchronise(self.folder)
        return self._segment

    def _end_segment(self) -> None:
        if self._segment:
            os.close(self._segment[1])
            self._segment = None

    def _cut(self, *, is_doubtful: bool) -> None:
        """Cut off what a failed write left; a segment of which nobody knows what the disk holds is closed."""
        if self._segment:
            with contextlib.suppress(OSError):  # then it stays, without a line end, and is no line
                os.ftruncate(self._segment[1], self._size)
            if is_doubtful:
                self._end_segment()


@dataclass(frozen=True)
class _Waiting:
    claim: Callable[[], Sequence[bytes]]
    done: Callable[[list[Place] | None], None]


class GroupCommit:
    """Appends to a log on a thread of its own: all that waits when the disk is free goes in one write."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._waiting: list[_Waiting] = []
        self._changed = threading.Condition()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="gateway-log")
        self._thread.start()

    def append(self, claim: Callable[[], Sequence[bytes]], done: Callable[[list[Place] | None], None]) -> None:
        """Have lines written, both functions being called on the log's thread.

        Args:
            claim: asked for the lines just before they are written.
            done: called with the lines' places once they are on disk, with None where none of them is.
        """
        with self._changed:
            self._waiting.append(_Waiting(claim, done))
            self._changed.notify()

    def close(self) -> None:
        """Write what waits, then let go of the log."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join()
        self._log.close()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_closing)
                waiting, self._waiting = self._waiting, []
            if not waiting:
                return
            self._commit(waiting)

    def _commit(self, waiting: Sequence[_Waiting]) -> None:
        claimed = [(each, each.claim()) for each in waiting]
        lines = [line for _, mine in claimed for line in mine]
        try:
            places = self._log.append(lines) if lines else []
        except LogFault:
            for each in waiting:
                each.done(None)
            return
        for each, mine in claimed:
            each.done(places[: len(mine)])
            places = places[len(mine) :]


def _cut_unfinished(path: Path) -> None:
    """Cut off what stands behind the last line end of a segment."""
    with path.open("r+b") as file:
        end = size = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - (1 << 16))
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        if end < size:
            file.truncate(end)
            os.fsync(file.fileno())


def _write_all(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def _synchronise(folder: Path) -> None:
    """Have the disk hold the names of the files in ``folder``."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
