"""Requests that are repeated: the same idempotency key gets the answer that stands in the log, and is recorded once."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

from labeling.sources.events import SEGMENTS, BrokenLine, decode_event, read_lines
from serving.gateway.log import EventLog, Place


class Recorded(NamedTuple):
    """Where a request's line stands, and the digest of what was asked."""

    place: Place
    asked: str


class Repeats:
    """The newest requests of a log that may come again, by the digest of their idempotency key.

    Args:
        log: where they stand; what it holds already is read.
        most: how many are known; the oldest are forgotten first.
    """

    def __init__(self, log: EventLog, *, most: int) -> None:
        self._log = log
        self._most = most
        self._known: OrderedDict[str, Recorded] = OrderedDict()
        self._read_log()

    def add(self, key: str, recorded: Recorded) -> None:
        """Remember a request that has just been recorded."""
        self._known[key] = recorded
        while len(self._known) > self._most:
            self._known.popitem(last=False)

    def find(self, key: str) -> Recorded | None:
        """Return what was recorded under ``key``, None where nothing was or it has been forgotten."""
        return self._known.get(key)

    def read(self, recorded: Recorded) -> Mapping[str, Any] | None:
        """Return the event that was recorded, None where it was erased or removed since."""
        try:
            return decode_event(self._log.read(recorded.place))
        except (OSError, BrokenLine):
            return None

    def _read_log(self) -> None:
        """Learn the newest requests of the log, going back from its end as far as it takes."""
        newest: list[list[tuple[str, Recorded]]] = []
        count = 0
        for path in sorted(self._log.folder.glob(SEGMENTS), reverse=True):
            if count >= self._most:
                break
            found = []
            for at, line in read_lines(path):
                try:
                    event = decode_event(line)
                except BrokenLine:
                    continue
                if event and event.get("repeat"):
                    place = Place(path.name, at, len(line))
                    found.append((event["repeat"], Recorded(place, event["asked"])))
            newest.append(found)
            count += len(found)
        for found in reversed(newest):
            for key, recorded in found:
                self.add(key, recorded)
