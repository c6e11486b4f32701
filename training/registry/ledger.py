"""The ledger: who decided what and when, in entries that are only ever added, each chained to the one before.

Changing, cutting or reordering entries breaks the chain; cutting the tail does not, so the head is also kept
elsewhere as an *anchor* (a line of the head file, a tag on the registered version) that ``verify`` is asked to find
again.
"""

import fcntl
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from labeling.digests import canonical_json, digest
from labeling.errors import LedgerError
from training.registry.head_file import HeadFile

GENESIS: Final = "0" * 64
"""What the first entry names as the digest before it."""

_LOCK_SECONDS = 30.0
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS entries (number INTEGER PRIMARY KEY, entry TEXT NOT NULL, digest TEXT NOT NULL UNIQUE)",
    "CREATE TRIGGER IF NOT EXISTS entries_never_change BEFORE UPDATE ON entries "
    "BEGIN SELECT RAISE(ABORT, 'ledger entries never change'); END",
    "CREATE TRIGGER IF NOT EXISTS entries_never_go BEFORE DELETE ON entries "
    "BEGIN SELECT RAISE(ABORT, 'ledger entries are never deleted'); END",
)


@dataclass(frozen=True)
class Entry:
    """One thing that happened.

    ``number`` counts from 1 without gaps. ``digest`` is SHA-256 over the canonical JSON of everything else,
    ``previous`` (the digest of the entry before) included. ``body`` is JSON; ``at`` is UTC.
    """

    number: int
    kind: str
    body: Mapping[str, Any]
    at: datetime
    previous: str
    digest: str

    @property
    def anchor(self) -> str:
        """This entry's number and digest, to be kept outside the ledger."""
        return f"{self.number}:{self.digest}"


class LedgerTransaction:
    """The ledger while nobody else can write: what is read here still holds when ``append`` is called."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.appended: list[Entry] = []

    def rows(self) -> list[tuple[Any, Any, Any]]:
        """Return what is stored, unchecked: number, text and digest of each entry, by number."""
        return self._connection.execute("SELECT number, entry, digest FROM entries ORDER BY number").fetchall()

    def entries(self, kind: str | None = None) -> list[Entry]:
        """Return all entries, or those of one kind, oldest first.

        Raises:
            LedgerError: an entry is damaged or does not chain to the one before; names the first such entry.
        """
        found = [_read_entry(*row) for row in self.rows()]
        _check_chain(found)
        return [entry for entry in found if kind is None or entry.kind == kind]

    def append(self, kind: str, body: Mapping[str, Any], *, at: datetime) -> Entry:
        """Add one entry at the end.

        Args:
            kind: what happened, as one word.
            body: JSON-serialisable; never a customer's text.
            at: when, with a time zone.

        Raises:
            LedgerError: the body is no JSON, or the time has no zone.
        """
        if at.tzinfo is None:
            raise LedgerError("a ledger entry needs a time with a zone, found one without: pass a UTC time")
        last = self._connection.execute("SELECT number, digest FROM entries ORDER BY number DESC LIMIT 1").fetchone()
        number, previous = (last[0] + 1, last[1]) if last else (1, GENESIS)
        try:
            sealed = {
                "number": number,
                "kind": kind,
                "body": dict(body),
                "at": at.astimezone(UTC).isoformat(timespec="microseconds"),
                "previous": previous,
            }
            text, sum_ = canonical_json(sealed).decode(), digest(sealed)
        except (TypeError, ValueError) as error:
            raise LedgerError(f"a ledger entry of kind {kind} needs a body of plain JSON: {error}") from error
        self._connection.execute("INSERT INTO entries VALUES (?, ?, ?)", (number, text, sum_))
        self.appended.append(_read_entry(number, text, sum_))
        return self.appended[-1]


class Ledger:
    """A ledger in one SQLite file at ``path``, made when it is first written.

    Writers queue: each transaction holds SQLite's write lock from its first read, for at most ``lock_seconds`` of
    waiting. A killed process leaves no half entry. Each entry's anchor is also a line of ``head_file``.
    """

    def __init__(self, path: Path, *, lock_seconds: float = _LOCK_SECONDS) -> None:
        self.path = path
        self.lock_seconds = lock_seconds
        self.head_file = HeadFile(path.with_suffix(".head"))

    @contextmanager
    def transaction(self) -> Iterator[LedgerTransaction]:
        """Hold the write lock; commit when the block ends, roll back when it raises.

        Raises:
            LedgerError: the file cannot be opened or written, or another process holds it too long.
        """
        with self._connect() as connection:
            with self._readable_errors():
                connection.execute("BEGIN IMMEDIATE")
            try:
                with self._readable_errors():
                    transaction = LedgerTransaction(connection)
                    yield transaction
                    connection.execute("COMMIT")
                    self.head_file.add(entry.anchor for entry in transaction.appended)
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def append(self, kind: str, body: Mapping[str, Any], *, at: datetime) -> Entry:
        """Add one entry at the end, as ``LedgerTransaction.append`` does."""
        with self.transaction() as transaction:
            return transaction.append(kind, body, at=at)

    def entries(self, kind: str | None = None) -> list[Entry]:
        """Return all entries, or those of one kind, oldest first; none where nothing was ever written.

        Raises:
            LedgerError: the file cannot be read, or an entry is damaged or out of its chain.
        """
        if not self.path.exists():
            return []
        with self._connect() as connection, self._readable_errors():
            return LedgerTransaction(connection).entries(kind)

    def rows(self) -> list[tuple[Any, Any, Any]]:
        """Return what is stored, unchecked: number, text and digest of each entry, by number; for an audit.

        Bytes of a text that are no UTF-8 come as lone surrogates, so that one damaged entry does not hide the others.

        Raises:
            LedgerError: the file cannot be read.
        """
        if not self.path.exists():
            return []
        with self._connect() as connection, self._readable_errors():
            connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
            return LedgerTransaction(connection).rows()

    def head(self) -> Entry | None:
        """Return the newest entry, None where there is none."""
        entries = self.entries()
        return entries[-1] if entries else None

    def verify(self, anchors: Iterable[str] = ()) -> str:
        """Check every entry, the chain, and that each anchor kept elsewhere is still in it; return the head's digest.

        Args:
            anchors: ``Entry.anchor`` of entries known to have been written.

        Raises:
            LedgerError: names the first entry that is damaged, out of order or missing.
        """
        entries = self.entries()
        check_anchors(entries, anchors)
        return entries[-1].digest if entries else GENESIS

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        with self._readable_errors():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=self.lock_seconds, isolation_level=None)
        with closing(connection):
            with self._readable_errors():
                connection.execute("PRAGMA synchronous = FULL")
                self._make(connection)
            yield connection

    def _make(self, connection: sqlite3.Connection) -> None:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'entries_never_go'").fetchone():
            return
        with self.path.with_name(f"{self.path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # SQLite does not queue those who switch one new file to WAL at once
            connection.execute("PRAGMA journal_mode = WAL")
            for statement in _SCHEMA:
                connection.execute(statement)

    @contextmanager
    def _readable_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error) or "busy" in str(error):
                raise LedgerError(
                    f"the ledger {self.path.name} was locked by another process for {self.lock_seconds:g} s: "
                    "let it finish, then run again"
                ) from error
            raise LedgerError(
                f"the ledger {self.path.name} cannot be used ({error}): check the disk's space and the file's rights"
            ) from error
        except sqlite3.DatabaseError as error:
            raise LedgerError(f"the ledger {self.path.name} is damaged ({error}): restore it from a backup") from error
        except OSError as error:
            raise LedgerError(
                f"the ledger {self.path.name} cannot be opened ({type(error).__name__}): check the folder's rights"
            ) from error


def check_anchors(entries: Iterable[Entry], anchors: Iterable[str]) -> None:
    """Check that each anchor (``Entry.anchor``, kept elsewhere) is among ``entries``.

    Raises:
        LedgerError: names the first missing one: the ledger was cut, replaced or rewritten.
    """
    held = {entry.anchor for entry in entries}
    for anchor in sorted(set(anchors) - held):
        raise LedgerError(
            f"the ledger lacks entry {anchor.partition(':')[0]} as the registry remembers it: entries were cut or "
            "rewritten, or this is another loop's ledger; restore it from a backup before any decision"
        )


def _read_entry(number: int, text: str, sum_: str) -> Entry:
    try:
        sealed = json.loads(text)
        entry = Entry(
            number=sealed["number"],
            kind=sealed["kind"],
            body=sealed["body"],
            at=datetime.fromisoformat(sealed["at"]),
            previous=sealed["previous"],
            digest=sum_,
        )
    except (ValueError, TypeError, KeyError) as error:
        raise LedgerError(f"ledger entry {number} cannot be read: restore the ledger from a backup") from error
    if entry.number != number or canonical_json(sealed).decode() != text or digest(sealed) != sum_:
        raise LedgerError(f"ledger entry {number} was changed after it was written: restore the ledger from a backup")
    return entry


def _check_chain(entries: list[Entry]) -> None:
    if entries and (entries[0].number != 1 or entries[0].previous != GENESIS):
        raise LedgerError("the ledger does not begin with its first entry: restore it from a backup")
    for before, after in pairwise(entries):
        if after.number != before.number + 1 or after.previous != before.digest:
            raise LedgerError(
                f"ledger entry {after.number} does not follow entry {before.number}: "
                "entries were cut or reordered; restore the ledger from a backup"
            )
