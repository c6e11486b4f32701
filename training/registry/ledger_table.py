"""The ledger as a table, to be read beside the others. The ledger is the truth, and the table a copy of it."""

from typing import Final

from labeling.delta import Tables
from labeling.digests import canonical_json
from labeling.errors import LedgerError
from labeling.tables import LEDGER
from training.registry.ledger import Entry, Ledger

_NAMED: Final = ("version", "reviewer")


def copy_ledger(ledger: Ledger, tables: Tables) -> int:
    """Bring the table LEDGER up to date; return how many entries were new to it.

    One commit, and none where nothing is new: killed or repeated, it leaves what one whole run leaves.

    Raises:
        LedgerError: the ledger does not verify, or lacks an entry that the table holds.
        StorageError: the table cannot be read or written.
    """
    entries = ledger.entries()
    held = tables.read(LEDGER, columns=["number", "digest"])
    if lacking := set(held.iter_rows()) - {(entry.number, entry.digest) for entry in entries}:
        raise LedgerError(
            f"the ledger lacks entry {min(lacking)[0]} as the table {LEDGER.name} holds it: entries were cut or "
            "rewritten; see `cxloop audit verify`. Where it was restored from a backup, remove the folder tables/ledger"
        )
    known = set(held["number"])
    fresh = [_read_row(entry) for entry in entries if entry.number not in known]
    return tables.merge(LEDGER, LEDGER.frame(fresh)).inserted


def _read_row(entry: Entry) -> dict[str, object]:
    named = {name: entry.body.get(name) for name in _NAMED}
    return {
        "number": entry.number,
        "kind": entry.kind,
        "occurred_at": entry.at,
        **named,
        "body": canonical_json(dict(entry.body)).decode(),
        "previous": entry.previous,
        "digest": entry.digest,
    }
