import polars as pl
import pytest

from labeling.tables import DELIVERIES, INTERACTIONS, TABLES, TIME


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_s_key_and_age_are_columns_and_its_times_are_utc(table):
    assert set(table.key) <= set(table.schema)
    assert not table.newest or table.schema[table.newest] == TIME
    assert not table.partition or table.schema[table.partition] == TIME
    assert set(table.renamed) <= set(table.schema)
    for column, kind in table.schema.items():
        assert (kind == TIME) == column.endswith("_at"), column
        assert not column.endswith("_id") or kind == pl.String, column
    assert table.empty().schema == pl.Schema(table.schema)


def test_names_differ():
    assert len({table.name for table in TABLES}) == len(TABLES)


def test_a_frame_fills_what_a_row_lacks_with_null_and_keeps_the_order_of_columns():
    frame = DELIVERIES.frame([{"rows": 3, "table": "x"}, {"table": "y"}])
    assert frame.columns == list(DELIVERIES.schema)
    assert frame["rows"].to_list() == [3, None]
    assert INTERACTIONS.frame([]).equals(INTERACTIONS.empty())
