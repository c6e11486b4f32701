"""Generated inputs: whatever bytes a file holds, each of its records is a row or a refusal, and nothing is raised."""

import gzip
import io
import json
import random

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labeling.sources.files import read_files
from labeling.sources.mapping import map_rows
from labeling.sources.records import ROW_POSITION, read_records
from labeling.sources.table_map import TableMap, event_columns
from labeling.tables import CORRECTIONS
from tests.labeling.sources.test_files import make_source


def fuzz(examples: int) -> settings:
    quiet = [HealthCheck.function_scoped_fixture]
    return settings(max_examples=examples, derandomize=True, deadline=None, database=None, suppress_health_check=quiet)


CHANGED = {"csv": 2500, "jsonl": 2500, "parquet": 1500, "csv.gz": 1000, "jsonl.gz": 1000}
"""Seeded mutations of valid files, by format; with the examples below more than 10,000."""
TOKENS = [
    b'"',
    b'""',
    b",",
    b";",
    b"\n",
    b"\r",
    b"\r\n",
    b"\x00",
    b"\xff",
    b"{",
    b"}",
    b"[",
    b"\\",
    b"\\ud83d",
    b"\xef\xbb\xbf",
]


def read_content(folder, name, content):
    """Read one file in small batches; check what holds for any content; return all positions."""
    (folder / name).write_bytes(content)
    batches = list(read_files(make_source(name), folder=folder, taken=frozenset(), batch_rows=7))
    assert [batch.is_last for batch in batches] == [False] * (len(batches) - 1) + [True]
    assert len({(batch.origin, batch.version) for batch in batches}) == 1
    assert all(batch.rows.columns == [ROW_POSITION, "id", "text"] for batch in batches)
    rows = [position for batch in batches for position in batch.rows[ROW_POSITION]]
    refused = [refusal.position for batch in batches for refusal in batch.refused]
    assert all(refusal.code and refusal.reason for batch in batches for refusal in batch.refused)
    positions = rows + refused
    assert len(set(positions)) == len(positions)
    assert all(position >= 0 for position in positions)
    for batch in batches:
        map_rows(batch.rows, make_source(name).maps[0])
    return positions


def valid_content(format_: str) -> bytes:
    frame = pl.DataFrame({"id": [f"i-{number}" for number in range(20)], "text": ['a "b", c\nd é 😀'] * 19 + [None]})
    buffer = io.BytesIO()
    if format_.startswith("parquet"):
        frame.write_parquet(buffer, row_group_size=10, compression="uncompressed")
    elif format_.startswith("jsonl"):
        frame.write_ndjson(buffer)
    else:
        frame.write_csv(buffer)
    return gzip.compress(buffer.getvalue(), mtime=0) if format_.endswith(".gz") else buffer.getvalue()


def mutate(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(changed) + 1)
        match rng.randrange(5):
            case 0:
                changed[place : place + 1] = bytes([rng.randrange(256)])
            case 1:
                changed[place:place] = rng.choice(TOKENS)
            case 2:
                del changed[place : place + rng.randint(1, 20)]
            case 3:
                del changed[place:]
            case _:
                start = rng.randrange(len(changed) + 1)
                changed[place:place] = changed[start : start + rng.randint(1, 40)]
    return bytes(changed)


@pytest.mark.parametrize("format_", CHANGED)
def test_no_change_of_a_valid_file_breaks_a_reader(tmp_path, format_):
    rng = random.Random(f"{format_} 3")  # noqa: S311
    content = valid_content(format_)
    assert len(read_content(tmp_path, f"a.{format_}", content)) == 20
    for _ in range(CHANGED[format_]):
        read_content(tmp_path, f"a.{format_}", mutate(content, rng))


KEYS = ["id", "text", "a"]
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "text", "a"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@fuzz(700)
@given(st.lists(st.binary(max_size=40) | values.map(lambda value: json.dumps(value).encode()), max_size=8))
def test_each_filled_json_line_is_counted(tmp_path, lines):
    content = b"\n".join(lines)
    positions = read_content(tmp_path, "a.jsonl", content)
    if positions != [0]:
        filled = [line for line in content.removeprefix(b"\xef\xbb\xbf").splitlines() if line.strip()]
        assert len(positions) == len(filled)


@fuzz(500)
@given(st.lists(st.tuples(st.text(min_size=1, max_size=8), st.text(max_size=8)), max_size=8))
def test_each_valid_csv_record_is_a_row_as_it_was_written(tmp_path, records):
    records = [(f"i{one}", other) for one, other in records]
    lines = ["id,text", *(",".join('"' + cell.replace('"', '""') + '"' for cell in record) for record in records)]
    (tmp_path / "a.csv").write_bytes("\r\n".join(lines).encode())
    batches = list(read_files(make_source("a.csv"), folder=tmp_path, taken=frozenset()))
    if not batches[0].refused:
        expected = [(one, other or None) for one, other in records]
        assert pl.concat([batch.rows for batch in batches]).select("id", "text").rows() == expected
    else:
        assert {refusal.code for refusal in batches[0].refused} == {"nul_bytes"}


@fuzz(500)
@given(st.binary(max_size=80))
def test_any_bytes_are_read_as_csv(tmp_path, content):
    read_content(tmp_path, "a.csv", b"id,text\n" + content)
    read_content(tmp_path, "b.csv", content)


paths = st.sampled_from(["id", "text", "a.id", "a[id=1].text", "text.a", "id[text=x]"])
column_maps = st.fixed_dictionaries(
    {"from": paths},
    optional={
        "prefix": st.text(max_size=3),
        "values": st.dictionaries(st.text(max_size=3), st.none() | st.text(max_size=3), min_size=1, max_size=3),
        "others": st.sampled_from(["keep", "drop"]),
        "time": st.sampled_from(["", "unix", "unix_ms", "%d/%m/%Y %H:%M", "%Y-%m-%dT%H:%M:%S%z", "%d.%m.%Y"]),
        "zone": st.sampled_from(["", "UTC", "Europe/Berlin", "America/St_Johns"]),
        "split": st.sampled_from([{"item": 1}, {"item": 3, "by": ";"}, {"prefix": "a"}, {"prefix": "i", "by": "ab"}]),
    },
) | st.fixed_dictionaries({"constant": st.text(max_size=3)})
times = st.sampled_from(["2026-03-29T02:30:00", "2026-10-25 02:30:00.5", "1e300", "-1", "31/12/2026 23:59", "9" * 30])
records = st.dictionaries(st.sampled_from(["id", "text", "a"]), values | times, max_size=3) | values


@fuzz(1200)
@given(
    st.dictionaries(st.sampled_from(event_columns(CORRECTIONS)), column_maps, min_size=1),
    st.sampled_from(["", "id", "a.id"]),
    st.lists(records, max_size=4),
)
def test_any_map_takes_any_record(columns, needs, found):
    table_map = TableMap.model_validate({"table": "corrections", "columns": columns, "needs": needs})
    batch = read_records(found, paths=table_map.paths, origin="fuzz")
    assert batch.rows.height + len(batch.refused) == len(found)
    events = map_rows(batch.rows, table_map)
    assert events.columns == ["position", *event_columns(CORRECTIONS)]
    assert set(events.dtypes[1:]) == {pl.String}
    assert set(events["position"]) <= set(batch.rows[ROW_POSITION])
    if not needs:
        assert events.height == batch.rows.height
