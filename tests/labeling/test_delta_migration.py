from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable, WriterProperties, write_deltalake

from labeling.delta import Merged, Tables
from labeling.errors import StorageError
from labeling.tables import CORRECTIONS, LABELS, PREDICTIONS, Table
from tests.labeling.delta_rows import CANARY, correction, frame, places, stored, traces


@pytest.fixture
def tables(tmp_path) -> Tables:
    return Tables(tmp_path / "tables")


def store_as_version_1(root: Path, table: Table, rows: list[dict], **columns: str) -> None:
    """Write rows as the code of version 1 did: one unpartitioned table, its statistics in the log."""
    write_deltalake(
        root / table.name,
        table.frame(rows).rename(columns).to_arrow(),
        configuration={"delta.logRetentionDuration": "interval 30 days"},
        description="cxloop.schema_version=1",
        writer_properties=WriterProperties(compression="ZSTD"),
    )


def test_a_newer_schema_version_is_refused(tables):
    tables.merge(replace(CORRECTIONS, version=3), frame(correction("a")))
    with pytest.raises(StorageError, match="needs schema version 2, found 3"):
        tables.read(CORRECTIONS)
    with pytest.raises(StorageError, match="needs schema version 2, found 3"):
        tables.merge(CORRECTIONS, frame(correction("b")))
    assert tables.read(replace(CORRECTIONS, version=3)).height == 1


def test_a_table_of_version_1_is_read_and_merged_into_with_nothing_lost(tables):
    old = [correction("a"), correction("b", age=60 * 24 * 30), correction("c") | {"reason": CANARY}]
    store_as_version_1(tables.root, CORRECTIONS, old)
    before = CORRECTIONS.frame(old).sort("correction_id").to_dicts()
    assert stored(tables) == before
    assert tables.find(CORRECTIONS, "correction_id", pl.Series(["a", "z"])).to_list() == ["a"]
    assert tables.version(CORRECTIONS) == 0
    assert tables.merge(CORRECTIONS, frame(correction("a", age=1), correction("d"))) == Merged(1, 1)
    assert [row["label"] for row in stored(tables)] == ["a at 1", before[1]["label"], "c at 0", "d at 0"]
    assert {place.parent.name for place in places(tables)} == {"_week=2026-W09", "_week=2026-W14"}
    assert tables.delete(CORRECTIONS, pl.col("correction_id") == "c") == 1
    tables.vacuum(CORRECTIONS)
    assert not traces(tables.root)
    assert len(stored(tables)) == 3


@pytest.mark.parametrize("change", ["delete", "vacuum", "compact"])
def test_a_table_of_version_1_can_be_deleted_from_and_maintained_first(tables, change):
    store_as_version_1(tables.root, CORRECTIONS, [correction("a"), correction("b")])
    if change == "delete":
        assert tables.delete(CORRECTIONS, pl.col("correction_id") == "b") == 1
    else:
        getattr(tables, change)(CORRECTIONS)
    assert [row["correction_id"] for row in stored(tables)][:1] == ["a"]
    assert DeltaTable(tables.root / "corrections").metadata().description == "cxloop.schema_version=2"


def test_vacuum_clears_the_statistics_that_an_older_version_left_in_the_log(tables):
    table = replace(LABELS, version=1, partition="", renamed={})
    store_as_version_1(tables.root, table, [{"interaction_id": CANARY, "task": "intent"}])
    assert traces(tables.root / "labels" / "_delta_log")
    tables.vacuum(table)
    assert not traces(tables.root / "labels" / "_delta_log")
    assert tables.read(table)["interaction_id"].to_list() == [CANARY]


def test_migration_takes_renamed_columns_over_and_leaves_new_ones_null(tables):
    table = replace(
        PREDICTIONS, name="t", newest="", key=("id",), schema={"id": pl.String, "source": pl.String}, partition=""
    )
    schema = {"id": pl.String, "origin": pl.String, "source": pl.String, "rows": pl.Int64}
    later = replace(table, version=3, schema=schema, renamed={"origin": "source"})
    tables.merge(table, table.frame([{"id": "1", "source": "a file"}]))
    expected = {"id": "1", "origin": "a file", "source": None, "rows": None}
    assert tables.read(later).to_dicts() == [expected]
    assert tables.merge(later, later.frame([{"id": "2", "source": "crm", "rows": 3}])) == Merged(1, 0)
    assert tables.read(later).sort("id").to_dicts()[0] == expected
    assert tables.read(replace(later, version=4)).sort("id").to_dicts()[0] == expected
    with pytest.raises(StorageError, match="needs schema version 2, found 3"):
        tables.read(table)
