"""Fields become columns as the map says: constants, words, times, one of a list."""

import polars as pl
import pytest

from labeling.sources.mapping import map_predictions, map_rows
from labeling.sources.records import read_records
from labeling.sources.table_map import TableMap, event_columns
from labeling.tables import CORRECTIONS, INTERACTIONS


def mapped(records, columns, **more):
    table_map = TableMap.model_validate({"table": "corrections", "columns": columns, **more})
    return map_rows(read_records(records, paths=table_map.paths, origin="o").rows, table_map)


def one(value, **origin):
    return mapped([{"x": value}], {"label": {"from": "x", **origin}})["label"].item()


def test_without_columns_the_fields_have_the_table_s_own_names():
    table_map = TableMap(table="corrections")
    assert set(table_map.paths) == set(event_columns(CORRECTIONS))
    rows = read_records([{"correction_id": "k", "label": "refund", "other": 1}], paths=table_map.paths, origin="o").rows
    [row] = map_rows(rows, table_map).to_dicts()
    assert (row["correction_id"], row["label"], row["task"], row["position"]) == ("k", "refund", None, 1)


def test_every_column_of_the_table_is_there_and_a_string():
    frame = mapped([{"id": 1}], {"correction_id": {"from": "id", "prefix": "crm-"}, "task": {"constant": "intent"}})
    assert set(frame.columns) == {"position", *event_columns(CORRECTIONS)}
    assert frame.row(0, named=True)["correction_id"] == "crm-1"
    assert frame.row(0, named=True)["task"] == "intent"
    assert set(frame.drop("position").dtypes) == {pl.String}


def test_words_become_ours_and_others_are_kept_or_dropped():
    words = {"good": "5", "bad": "1", "offered": None}
    assert [one(word, values=words) for word in ("good", "offered", "odd")] == ["5", None, "odd"]
    assert [one(word, values=words, others="drop") for word in ("bad", "odd")] == ["1", None]


@pytest.mark.parametrize(
    ("value", "split", "found"),
    [
        ("a, b ,c", {"item": 2}, "b"),
        ("a|b", {"by": "|", "item": 2}, "b"),
        ("a", {"item": 2}, None),
        (["x", "intent_refund"], {"prefix": "intent_"}, "refund"),
        ("vip,intent_refund,intent_other", {"prefix": "intent_"}, "refund"),
        (["x", "y"], {"prefix": "intent_"}, None),
        (["a, b", "c"], {"item": 1}, "a, b"),
    ],
)
def test_one_of_several_values_is_taken(value, split, found):
    assert one(value, split=split) == found


@pytest.mark.parametrize(
    ("value", "origin", "found"),
    [
        ("1767225600", {"time": "unix"}, "2026-01-01T00:00:00.000000+00:00"),
        (1767225600123, {"time": "unix_ms"}, "2026-01-01T00:00:00.123000+00:00"),
        ("01/07/2026 14:30", {"time": "%d/%m/%Y %H:%M", "zone": "Europe/Berlin"}, "2026-07-01T12:30:00.000000+00:00"),
        ("2026-07-01 14:30:00", {"zone": "Europe/Berlin"}, "2026-07-01T12:30:00.000000+00:00"),
        ("2026-07-01T14:30:00Z", {"zone": "Europe/Berlin"}, "2026-07-01T14:30:00Z"),
        ("01.07.2026 14:30 +0200", {"time": "%d.%m.%Y %H:%M %z"}, "2026-07-01T12:30:00.000000+00:00"),
    ],
)
def test_times_are_read_as_the_map_says(value, origin, found):
    assert one(value, **origin) == found


@pytest.mark.parametrize(
    ("value", "origin"),
    [
        ("25/10/2026 02:30", {"time": "%d/%m/%Y %H:%M", "zone": "Europe/Berlin"}),  # twice that night
        ("29/03/2026 02:30", {"time": "%d/%m/%Y %H:%M", "zone": "Europe/Berlin"}),  # never that night
        ("01/07/2026 14:30", {"time": "%d/%m/%Y %H:%M"}),  # no zone anywhere
        ("yesterday", {"time": "unix"}),
        ("inf", {"time": "unix"}),
    ],
)
def test_a_time_that_cannot_be_read_stays_as_it_is_and_is_refused_later(value, origin):
    assert one(value, **origin) == value


def test_a_field_may_be_called_position():
    assert mapped([{"position": "third"}], {"label": "position"}).select("position", "label").row(0) == (1, "third")


def test_rows_without_what_the_map_needs_make_no_event():
    frame = mapped([{"id": 1, "fix": "a"}, {"id": 2}, {"id": 3, "fix": " "}], {"correction_id": "id"}, needs="fix")
    assert frame["position"].to_list() == [1]


def test_predictions_come_along():
    said = {"task": "intent", "columns": {"label": "bot", "confidence": "p", "model_version": {"constant": "old"}}}
    table_map = TableMap.model_validate({"table": "interactions", "columns": {"text": "t"}, "predictions": [said]})
    rows = read_records([{"t": "hi", "bot": "refund", "p": 0.5}], paths=table_map.paths, origin="o").rows
    [row] = map_predictions(rows, table_map.predictions[0]).to_dicts()
    assert row == {"position": 1, "label": "refund", "confidence": "0.5", "model_version": "old", "task": "intent"}
    assert table_map.to == INTERACTIONS


@pytest.mark.parametrize(
    ("described", "told"),
    [
        ({"table": "corrections", "columns": {"lable": "x"}}, "corrections has no column lable; it has correction_id"),
        ({"table": "corrections", "columns": {"label": {}}}, "needs either from"),
        ({"table": "corrections", "columns": {"label": {"from": "x", "constant": "y"}}}, "needs either from"),
        ({"table": "corrections", "columns": {"label": "a..b"}}, "a path needs keys"),
        ({"table": "corrections", "columns": {"label": {"from": "x", "zone": "Mars/Base"}}}, "zone needs an IANA name"),
        ({"table": "corrections", "columns": {"label": {"from": "x", "split": {}}}}, "split needs either item"),
        ({"table": "corrections", "predictions": [{"task": "i", "columns": {}}]}, "predictions need the columns"),
        ({"table": "corrections", "columns": {"label": {"from": "x", "time": "%H"}}}, "time needs unix"),
        (
            {"table": "labels"},
            "Input should be 'interactions', 'corrections', 'escalations', 'context_feedback' or 'reviews'",
        ),
    ],
)
def test_a_map_that_cannot_work_is_told_before_anything_is_read(described, told):
    with pytest.raises(ValueError, match=told):
        TableMap.model_validate(described)
