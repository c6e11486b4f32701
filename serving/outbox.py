"""Sending notices: each one at least once a channel, in the ledger's order, and dead letters after enough attempts.

What was sent stands in the table NOTICES. It is written after the sending, so a kill in between sends the same notice,
under the same id, again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl

from labeling.delta import Tables
from labeling.digests import digest
from labeling.errors import NoticeError
from labeling.tables import NOTICES
from serving.channels import Sender, open_channel
from serving.notices import Channel, Notice, NoticesConfig, read_notices
from training.registry.ledger import Entry
from training.registry.standing import read_standing

BEGUN: Final = "begun"
SENT: Final = "sent"
WAITING: Final = "waiting"
DEAD: Final = "dead"

_LONGEST_WAIT: Final = timedelta(hours=1)
_ID_LENGTH: Final = 32
_FAULT_LENGTH: Final = 200


@dataclass(frozen=True)
class Delivered:
    """What one round came to, in notices; ``unready`` says which channels lack something, and what."""

    sent: int
    waiting: int
    dead: int
    unready: tuple[str, ...]


def deliver(
    entries: Sequence[Entry],
    config: NoticesConfig,
    tables: Tables,
    *,
    environment: Mapping[str, str],
    now: Callable[[], datetime],
    retry: bool = False,
) -> Delivered:
    """Send what each channel has not got yet.

    A channel that is new begins with the challenger that waits, else with the next entry: nobody is told years of
    history. A notice that fails holds up those behind it until it is sent or dead.

    Args:
        entries: the whole ledger, oldest first.
        config: notices.yaml.
        tables: where NOTICES stands; one process at a time.
        environment: addresses and secrets.
        now: the clock.
        retry: try dead letters and those that wait for their time now.

    Raises:
        StorageError: the table cannot be read or written.
    """
    unready, sent = [], 0
    for channel in config.channels:
        try:
            sender = open_channel(channel, environment, timeout=config.timeout_seconds)
        except NoticeError as error:
            unready.append(str(error))
            continue
        sent += _Round(channel, config, tables, entries, now).run(sender, retry=retry)
    states = tables.read(NOTICES, columns=["state"])["state"]
    return Delivered(sent, int((states == WAITING).sum()), int((states == DEAD).sum()), tuple(unready))


def is_due(
    entries: Sequence[Entry],
    config: NoticesConfig,
    tables: Tables,
    *,
    environment: Mapping[str, str],
    now: Callable[[], datetime],
) -> bool:
    """Say whether a channel that can be used is new, or has a notice whose time has come.

    Raises:
        StorageError: the table cannot be read.
    """
    for channel in config.channels:
        try:
            open_channel(channel, environment, timeout=config.timeout_seconds)
        except NoticeError:
            continue
        if _Round(channel, config, tables, entries, now).is_due:
            return True
    return False


def read_dead(tables: Tables) -> pl.DataFrame:
    """Return the dead letters: rows of NOTICES, oldest first.

    Raises:
        StorageError: the table cannot be read.
    """
    return tables.read(NOTICES, where=pl.col("state") == DEAD).sort("changed_at")


class _Round:
    """One channel's notices and how far each has come."""

    def __init__(
        self,
        channel: Channel,
        config: NoticesConfig,
        tables: Tables,
        entries: Sequence[Entry],
        now: Callable[[], datetime],
    ) -> None:
        self._channel, self._config, self._tables, self._entries, self._now = channel, config, tables, entries, now
        rows = tables.read(NOTICES, where=pl.col("channel") == channel.name).iter_rows(named=True)
        self._rows: dict[str, dict[str, Any]] = {row["notice_id"]: row for row in rows}
        self._begun = next((row["entry"] for row in self._rows.values() if row["state"] == BEGUN), None)

    @property
    def is_due(self) -> bool:
        """Whether the channel is new, or its next open notice may go out now."""
        if self._begun is None:
            return True
        following = next(iter(self._open(retry=False)), None)
        return following is not None and self._may_go(following)

    def run(self, sender: Sender, *, retry: bool) -> int:
        """Send what may go; return how many were taken."""
        if self._begun is None:
            self._begin()
        sent = 0
        for notice in self._open(retry=retry):
            if not retry and not self._may_go(notice):
                break
            state = self._attempt(sender, notice)
            sent += state == SENT
            if state == WAITING:
                break
        return sent

    def _open(self, *, retry: bool) -> list[Notice]:
        """Return the notices that were neither sent nor given up; where ``retry``, those given up too."""
        closed = {SENT} if retry else {SENT, DEAD}
        later = [entry for entry in self._entries if entry.number > (self._begun or 0)]
        wanted = [notice for notice in read_notices(later) if notice.kind in self._channel.tell]
        return [notice for notice in wanted if self._row(notice).get("state") not in closed]

    def _may_go(self, notice: Notice) -> bool:
        retry_at = self._row(notice).get("retry_at")
        return retry_at is None or retry_at <= self._now()

    def _attempt(self, sender: Sender, notice: Notice) -> str:
        what = notice.entry.digest
        told = {"entry": notice.entry.number, "kind": notice.kind, "attempts": 1 + self._row(notice).get("attempts", 0)}
        try:
            sender.send(self._id(what), notice, now=self._now())
        except NoticeError as error:
            state = WAITING if told["attempts"] < self._config.attempts else DEAD
            retry_at = self._now() + self._wait(told["attempts"])
            self._keep(what, told | {"state": state, "fault": str(error)[:_FAULT_LENGTH], "retry_at": retry_at})
            return state
        self._keep(what, told | {"state": SENT})
        return SENT

    def _wait(self, attempts: int) -> timedelta:
        """Return how long to wait after the ``attempts``-th attempt failed: twice as long each time."""
        return min(timedelta(seconds=self._config.first_wait_seconds * 2.0 ** (attempts - 1)), _LONGEST_WAIT)

    def _begin(self) -> None:
        standing = read_standing(self._entries)
        newest = self._entries[-1].number if self._entries else 0
        waiting = standing.named[standing.challenger].number - 1 if standing.challenger else newest
        self._begun = waiting
        self._keep(BEGUN, {"entry": waiting, "kind": BEGUN, "state": BEGUN})

    def _keep(self, what: str, state: Mapping[str, Any]) -> None:
        row = {"notice_id": self._id(what), "channel": self._channel.name, **state, "changed_at": self._now()}
        self._tables.merge(NOTICES, NOTICES.frame([row]))
        self._rows[row["notice_id"]] = row

    def _row(self, notice: Notice) -> Mapping[str, Any]:
        return self._rows.get(self._id(notice.entry.digest), {})

    def _id(self, what: str) -> str:
        """Return the id of the notice of the entry with that digest on this channel."""
        return digest(["notice", self._channel.name, what])[:_ID_LENGTH]
