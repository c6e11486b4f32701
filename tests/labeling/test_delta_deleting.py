import polars as pl
import pytest

from labeling.delta import Merged, Tables
from labeling.tables import CORRECTIONS
from tests.labeling.delta_rows import CANARY, correction, frame, places, stored, traces


@pytest.fixture
def tables(tmp_path) -> Tables:
    return Tables(tmp_path / "tables")


def test_delete_removes_matching_rows_in_one_commit(tables):
    tables.merge(CORRECTIONS, frame(correction("a"), correction("b"), correction("c", age=60 * 24 * 30)))
    tables.merge(CORRECTIONS, frame(correction("unlabelled") | {"label": None}))
    files, newest = places(tables), tables.version(CORRECTIONS)
    assert tables.delete(CORRECTIONS, pl.col("label") == "a at 0") == 1
    assert [row["correction_id"] for row in stored(tables)] == ["b", "c", "unlabelled"]
    assert tables.version(CORRECTIONS) == newest + 1
    assert len(set(files) & set(places(tables))) == len(files) - 1
    assert tables.delete(CORRECTIONS, pl.lit(True)) == 3
    assert tables.read(CORRECTIONS).equals(CORRECTIONS.empty())
    tables.vacuum(CORRECTIONS)
    tables.compact(CORRECTIONS)
    assert tables.merge(CORRECTIONS, frame(correction("a"))) == Merged(1, 0)
    assert Tables(tables.root / "none").delete(CORRECTIONS, pl.lit(True)) == 0
    Tables(tables.root / "none").vacuum(CORRECTIONS)


@pytest.mark.parametrize("column", ["reason", "correction_id", "agent_id", "interaction_id"])
def test_nothing_of_a_deleted_row_is_left_after_vacuum(tables, column):
    tables.merge(CORRECTIONS, frame(correction("a"), correction("b") | {column: CANARY}, correction("c", age=90000)))
    tables.compact(CORRECTIONS)
    tables.merge(CORRECTIONS, frame(correction("d")))
    assert traces(tables.root)
    assert tables.delete(CORRECTIONS, pl.col(column) == CANARY) == 1
    assert traces(tables.root)
    kept = stored(tables)
    tables.vacuum(CORRECTIONS)
    assert not traces(tables.root)
    assert stored(tables) == kept
    assert tables.merge(CORRECTIONS, frame(correction("e"))) == Merged(1, 0)
    tables.vacuum(CORRECTIONS)
    assert len(stored(tables)) == len(kept) + 1


def test_nothing_of_a_superseded_row_is_left_after_vacuum(tables):
    tables.merge(CORRECTIONS, frame(correction("a") | {"reason": CANARY}))
    tables.merge(CORRECTIONS, frame(correction("a", age=1)))
    tables.vacuum(CORRECTIONS)
    assert not traces(tables.root)


def test_no_text_stands_in_the_log(tables):
    for number in range(3):
        tables.merge(CORRECTIONS, frame(correction(f"{CANARY}-{number}") | {"reason": CANARY, "agent_id": CANARY}))
    tables.compact(CORRECTIONS)
    tables.delete(CORRECTIONS, pl.col("correction_id") == f"{CANARY}-0")
    assert not traces(tables.root / "corrections" / "_delta_log")


def test_a_read_that_a_vacuum_forestalls_is_made_again(tables, monkeypatch):
    tables.merge(CORRECTIONS, frame(correction("a")))
    scan, disturbed = Tables._scan, []

    def scan_and_lose_the_files(self, table):
        rows = scan(self, table)
        if not disturbed:
            disturbed.append(1)
            tables.merge(CORRECTIONS, frame(correction("a", age=1)))
            tables.vacuum(CORRECTIONS)
        return rows

    monkeypatch.setattr(Tables, "_scan", scan_and_lose_the_files)
    assert [row["label"] for row in stored(tables)] == ["a at 1"]
