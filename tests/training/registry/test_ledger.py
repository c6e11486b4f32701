import json
import os
import signal
import sqlite3
from datetime import UTC, datetime, timedelta, timezone

import pytest

from labeling.errors import LedgerError
from tests.training.registry.stage import start
from training.registry.ledger import GENESIS, Ledger

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "ledger.sqlite", lock_seconds=20)


def _rewrite(ledger, statement, *values):
    """Change the file the way somebody with the disk in hands would: past the triggers."""
    with sqlite3.connect(ledger.path) as connection:
        connection.execute("DROP TRIGGER entries_never_change")
        connection.execute("DROP TRIGGER entries_never_go")
        connection.execute(statement, values)


def test_no_file_is_an_empty_ledger_that_verifies(ledger):
    assert ledger.entries() == []
    assert ledger.head() is None
    assert ledger.verify() == GENESIS
    assert not ledger.path.exists()


def test_entries_chain_and_come_back_as_they_were_written(ledger):
    body = {"version": "3", "note": 'ünïcode "quotes"\n<b>\u0000</b>', "members": {"a": "1"}, "none": None}
    local = NOW.astimezone(timezone(timedelta(hours=-7)))
    first = ledger.append("decision", body, at=local)
    second = ledger.append("alias_moved", {"moves": []}, at=NOW + timedelta(microseconds=1))

    assert ledger.entries() == [first, second]
    assert ledger.entries("alias_moved") == [second]
    assert ledger.head() == second
    assert (first.number, second.number) == (1, 2)
    assert (first.previous, second.previous) == (GENESIS, first.digest)
    assert dict(first.body) == body
    assert first.at == NOW
    assert first.at.utcoffset() == timedelta(0)
    assert ledger.verify([first.anchor, second.anchor]) == second.digest


def test_a_time_without_zone_and_a_body_that_is_no_json_are_refused(ledger):
    with pytest.raises(LedgerError, match="zone"):
        ledger.append("decision", {}, at=NOW.replace(tzinfo=None))
    with pytest.raises(LedgerError, match="plain JSON"):
        ledger.append("decision", {"at": NOW}, at=NOW)
    with pytest.raises(LedgerError, match="plain JSON"):
        ledger.append("decision", {"note": "\udcff"}, at=NOW)
    assert ledger.entries() == []


def test_a_transaction_that_raises_leaves_nothing(ledger):
    ledger.append("decision", {"n": 1}, at=NOW)
    with pytest.raises(LedgerError, match="zone"), ledger.transaction() as transaction:
        transaction.append(
            "decision", {"n": transaction.append("decision", {}, at=NOW).number}, at=NOW.replace(tzinfo=None)
        )
    assert [entry.body["n"] for entry in ledger.entries()] == [1]


def test_the_file_itself_refuses_change_and_deletion(ledger):
    ledger.append("decision", {"n": 1}, at=NOW)
    with sqlite3.connect(ledger.path) as connection:
        with pytest.raises(sqlite3.IntegrityError, match="never change"):
            connection.execute("UPDATE entries SET digest = 'x'")
        with pytest.raises(sqlite3.IntegrityError, match="never deleted"):
            connection.execute("DELETE FROM entries")


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("UPDATE entries SET entry = replace(entry, 'ana', 'eve') WHERE number = 2", "entry 2 was changed"),
        ("UPDATE entries SET entry = replace(entry, ',', ', ') WHERE number = 2", "entry 2 was changed"),
        ("UPDATE entries SET entry = 'torn' WHERE number = 2", "entry 2 cannot be read"),
        ("UPDATE entries SET digest = 'f' || substr(digest, 2) || 'x' WHERE number = 3", "entry 3 was changed"),
        ("DELETE FROM entries WHERE number = 1", "does not begin with its first entry"),
        ("DELETE FROM entries WHERE number = 2", "entry 3 does not follow entry 1"),
        ("UPDATE entries SET number = 9 WHERE number = 2", "does not follow|was changed"),
    ],
)
def test_every_kind_of_tampering_is_noticed(ledger, statement, complaint):
    for number in range(3):
        ledger.append("decision", {"reviewer": "ana", "n": number}, at=NOW)
    _rewrite(ledger, statement)
    with pytest.raises(LedgerError, match=complaint):
        ledger.verify()


def test_a_cut_tail_and_a_whole_rewrite_show_by_their_anchors(ledger, tmp_path):
    anchors = [ledger.append("decision", {"n": number}, at=NOW).anchor for number in range(3)]
    other = Ledger(tmp_path / "other.sqlite")
    for _ in range(3):
        other.append("decision", {"n": "forged"}, at=NOW)
    with pytest.raises(LedgerError, match="lacks entry 1 "):
        other.verify(anchors[:1])

    _rewrite(ledger, "DELETE FROM entries WHERE number = 3")
    ledger.verify(anchors[:2])
    with pytest.raises(LedgerError, match=r"lacks entry 3 .*cut or rewritten"):
        ledger.verify(anchors)


def test_a_file_that_is_no_database_says_what_to_do(ledger):
    ledger.path.write_bytes(b"not a database, but long enough to look like one" * 40)
    with pytest.raises(LedgerError, match=r"damaged.*restore it from a backup"):
        ledger.entries()


def test_a_folder_that_cannot_be_made_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="check the folder's rights"):
        Ledger(tmp_path / "file" / "ledger.sqlite").append("decision", {}, at=NOW)


def test_a_lock_held_too_long_is_told(ledger):
    ledger.append("decision", {}, at=NOW)
    impatient = Ledger(ledger.path, lock_seconds=0.05)
    with ledger.transaction(), pytest.raises(LedgerError, match=r"locked by another process for 0.05 s"):
        impatient.append("decision", {}, at=NOW)


def _append_many(path, name, count):
    ledger = Ledger(path)
    for number in range(count):
        ledger.append("decision", {"by": name, "n": number}, at=NOW)


def test_writers_of_a_new_file_queue_and_lose_nothing(ledger):
    writers = [start(_append_many, ledger.path, name, 10) for name in "abcd"]
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0] * 4
    entries = ledger.entries()
    assert len(entries) == 40
    for name in "abcd":
        assert [entry.body["n"] for entry in entries if entry.body["by"] == name] == list(range(10))


def _die_inside(path):
    with Ledger(path).transaction() as transaction:
        transaction.append("decision", {"n": "half"}, at=NOW)
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_kill_inside_a_transaction_leaves_no_half_entry_and_no_lock(ledger):
    ledger.append("decision", {"n": 1}, at=NOW)
    victim = start(_die_inside, ledger.path)
    victim.join(30)
    assert victim.exitcode == -signal.SIGKILL
    ledger.append("decision", {"n": 2}, at=NOW)
    assert [entry.body["n"] for entry in ledger.entries()] == [1, 2]


def test_an_auditor_can_check_it_without_our_code(ledger):
    import hashlib

    for number in range(3):
        ledger.append("decision", {"n": number}, at=NOW)
    with sqlite3.connect(ledger.path) as connection:
        rows = connection.execute("SELECT entry, digest FROM entries ORDER BY number").fetchall()
    previous = "0" * 64
    for text, digest in rows:
        assert hashlib.sha256(text.encode()).hexdigest() == digest
        assert json.loads(text)["previous"] == previous
        previous = digest
