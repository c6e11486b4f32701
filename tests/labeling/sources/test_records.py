"""Records as sources send them become rows of strings; what is deeper than a value or a list is refused."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from labeling.sources.path import check_path, pick
from labeling.sources.records import LIST_SEPARATOR, ROW_POSITION, read_records

TICKET = {
    "id": 7,
    "via": {"channel": "chat"},
    "custom_fields": [{"id": 1, "value": None}, {"id": 36, "value": "refund"}],
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("id", 7),
        ("via.channel", "chat"),
        ("via.nothing.more", None),
        ("id.more", None),
        ("custom_fields[id=36].value", "refund"),
        ("custom_fields[id=1].value", None),
        ("custom_fields[id=2].value", None),
        ("via[id=2].value", None),
    ],
)
def test_a_path_finds_what_stands_there(path, found):
    assert pick(TICKET, path) == found


def test_a_key_that_holds_a_dot_is_found_whole():
    assert pick({"a.b": 1, "a": {"b": 2}}, "a.b") == 1


@pytest.mark.parametrize("path", ["", "a.", ".a", "a..b", "a[b]", "a[b=c", "a]b"])
def test_what_is_no_path_is_told(path):
    with pytest.raises(ValueError, match="a path needs keys"):
        check_path(path)


def test_values_become_strings_that_keep_what_was_written():
    record = {
        "whole": 12345678901234567890,
        "decimal": Decimal("1.10"),
        "flag": True,
        "nothing": None,
        "time": datetime(2026, 3, 1, 12, tzinfo=UTC),
        "day": date(2026, 3, 1),
        "tags": ["a", 2, None],
        "bytes": b"caf\xc3\xa9",
        "half": "\ud83d",
    }
    [row] = read_records([record], paths=list(record), origin="o").rows.drop(ROW_POSITION).to_dicts()
    assert row == {
        "whole": "12345678901234567890",
        "decimal": "1.10",
        "flag": "true",
        "nothing": None,
        "time": "2026-03-01T12:00:00+00:00",
        "day": "2026-03-01",
        "tags": LIST_SEPARATOR.join(["a", "2", ""]),
        "bytes": "café",
        "half": "\ufffd",
    }


def test_records_that_are_deeper_or_no_objects_are_refused_and_their_neighbours_live():
    batch = read_records(
        [{"id": {"x": 1}}, {"id": 2}, ["id"], {"id": [[1]]}], paths=["id"], origin="o", first_position=11
    )
    assert batch.rows.to_dicts() == [{ROW_POSITION: 12, "id": "2"}]
    assert [(refusal.position, refusal.code) for refusal in batch.refused] == [
        (11, "nested_value"),
        (13, "not_an_object"),
        (14, "nested_value"),
    ]
    assert all(len(refusal.content_digest) == 64 for refusal in batch.refused)
