"""The ledger's copy among the tables: whole, only ever what is new, and never the last word."""

import re
import sqlite3
from pathlib import Path

import polars as pl
import pytest

from labeling.delta import Tables
from labeling.errors import LedgerError
from labeling.tables import LEDGER
from tests.training.registry.stage import NOW
from training.registry.ledger import Ledger
from training.registry.ledger_table import copy_ledger

GUIDE = Path(__file__).parents[3] / "docs" / "auditing.md"


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / ".cxloop" / "ledger.sqlite")
    ledger.append("decision", {"decision": "approve", "version": "2", "reviewer": "ana", "note": "ça va"}, at=NOW)
    return ledger


@pytest.fixture
def tables(tmp_path):
    return Tables(tmp_path / ".cxloop" / "tables")


def test_each_entry_is_copied_once(ledger, tables):
    assert copy_ledger(ledger, tables) == 1
    ledger.append("alias_moved", {"entry": 1, "moves": []}, at=NOW)
    assert (copy_ledger(ledger, tables), copy_ledger(ledger, tables)) == (1, 0)
    assert tables.version(LEDGER) == 1
    copied = tables.read(LEDGER).sort("number")
    entries = ledger.entries()
    assert copied["digest"].to_list() == [entry.digest for entry in entries]
    assert copied["previous"].to_list() == [entry.previous for entry in entries]
    assert copied["occurred_at"].to_list() == [NOW, NOW]
    assert copied.select("version", "reviewer").rows() == [("2", "ana"), (None, None)]
    assert copied["body"][0] == '{"decision":"approve","note":"ça va","reviewer":"ana","version":"2"}'


def test_nothing_is_copied_from_an_empty_ledger(tmp_path, tables):
    assert copy_ledger(Ledger(tmp_path / "none.sqlite"), tables) == 0
    assert tables.read(LEDGER).is_empty()


def test_the_guide_s_example_reads_the_decisions(ledger, tables, tmp_path, monkeypatch):
    copy_ledger(ledger, tables)
    [example] = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    found: dict[str, pl.DataFrame] = {}
    exec(example, {}, found)  # noqa: S102  (our own words)
    assert found["decisions"].select("reviewer", "note").rows() == [("ana", "ça va")]


def test_a_ledger_that_lacks_what_was_copied_is_told_and_the_copy_stays(ledger, tables):
    ledger.append("decision", {"decision": "rollback", "version": "2", "reviewer": "ana", "note": ""}, at=NOW)
    copy_ledger(ledger, tables)
    with sqlite3.connect(ledger.path) as connection:
        connection.execute("DROP TRIGGER entries_never_go")
        connection.execute("DELETE FROM entries WHERE number = 2")
    with pytest.raises(LedgerError, match=r"lacks entry 2 as the table ledger holds it.*audit verify"):
        copy_ledger(ledger, tables)
    assert tables.read(LEDGER).height == 2
