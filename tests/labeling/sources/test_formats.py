import datetime
import gzip
import json
import tracemalloc
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from labeling.sources.files import read_files
from labeling.sources.lines import LINE_LIMIT
from labeling.sources.records import ROW_POSITION
from labeling.sources.source import FilesSource
from tests.labeling.sources.test_files import make_source, read, write


def read_one(folder, name, content, **settings):
    (batch,) = (
        read(name, folder, **settings) if content is None else read(write(folder / name, content), folder, **settings)
    )
    assert batch.is_last
    return batch


def texts(batch):
    return batch.rows.select("id", "text").rows()


def codes(batch):
    return {refusal.position: refusal.code for refusal in batch.refused}


def read_paths(folder, name, *paths):
    columns = dict(zip(("correction_id", "label", "task", "corrected_at"), paths, strict=False))
    maps = [{"table": "corrections", "columns": columns}]
    source = FilesSource.model_validate({"name": "x", "kind": "files", "path": name, "maps": maps})
    (batch,) = read_files(source, folder=folder, taken=frozenset())
    return batch


def test_every_json_line_is_a_row_or_a_refusal(tmp_path):
    lines = [
        b'\xef\xbb\xbf{"id": "caf\xc3\xa9", "text": 12345678901234567890.50, "unknown": [1]}',
        b"",
        b"not json",
        b'{"id": "cut sho',
        b'{"id": "\xff\xfe"}',
        b"[1, 2]",
        b'"text"',
        b'{"id": {"deep": 1}}',
        b"[" * 100_000,
        b'{"id": ' + b"9" * 10_000 + b"}",
        b'{"id": "\\ud83d", "text": true}',
        b'{"id": NaN, "text": null}',
        b'{"id": "' + b"x" * LINE_LIMIT + b'"}',
        b'{"id": "\\ud83d\\ude00", "text": ["a", 1]}',
        b'{"id": "last"}',
    ]
    batch = read_one(tmp_path, "a.jsonl", b"\n".join(lines))
    assert codes(batch) == {
        3: "broken_json",
        4: "broken_json",
        5: "broken_encoding",
        6: "not_an_object",
        7: "not_an_object",
        8: "nested_value",
        9: "broken_json",
        13: "line_too_long",
    }
    assert batch.rows.rows() == [
        (1, "café", "12345678901234567890.50"),
        (10, "9" * 10_000, None),
        (11, "\ufffd", "true"),
        (12, "NaN", None),
        (14, "😀", "a\x1f1"),
        (15, "last", None),
    ]


def test_paths_lead_into_json_objects_and_lists(tmp_path):
    record = {"id": 7, "via": {"channel": "mail"}, "custom_fields": [{"id": 1, "value": "a"}, {"id": 2, "value": "b"}]}
    write(tmp_path / "a.jsonl", json.dumps(record).encode())
    batch = read_paths(tmp_path, "a.jsonl", "id", "via.channel", "custom_fields[id=2].value")
    assert batch.rows.rows() == [(1, "7", "mail", "b")]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("last", [True, False])
def test_all_line_ends_are_understood_and_the_last_may_be_missing(tmp_path, end, last):
    lines = [b'{"id": "1", "text": "a"}', b"", b'{"id": "2", "text": "b"}']
    batch = read_one(tmp_path, "a.jsonl", end.join(lines) + end * last)
    assert batch.rows.rows() == [(1, "1", "a"), (3, "2", "b")]
    records = [b"id,text", b'1,"a', b'c"', b"", b"2,b"]
    batch = read_one(tmp_path, "a.csv", end.join(records) + end * last)
    assert batch.rows.rows() == [(2, "1", f"a{end.decode()}c"), (5, "2", "b")]


def test_line_ends_may_fall_anywhere_between_two_reads(tmp_path, monkeypatch):
    for size in range(1, 40):
        monkeypatch.setattr("labeling.sources.lines.CHUNK", size)
        batch = read_one(tmp_path, "a.csv", b'id,text\r\n1,"a\r\nb"\r\n\r\n2,b\r3,c\r\n')
        assert batch.rows.rows() == [(2, "1", "a\r\nb"), (5, "2", "b"), (6, "3", "c")], size


def test_csv_is_read_after_rfc_4180(tmp_path):
    content = 'text , id\n"a, ""b""",1\r\n,2\n"é\n\nz",3\nit\'s 5" wide,4\n'.encode()
    batch = read_one(tmp_path, "a.csv", b"\xef\xbb\xbf" + content)
    assert texts(batch) == [("1", 'a, "b"'), ("2", None), ("3", "é\n\nz"), ("4", "it's 5\" wide")]
    assert batch.refused == ()
    assert texts(read_one(tmp_path, "b.csv", b"id\ttext\n1\ta,b\n", separator="\t")) == [("1", "a,b")]


def test_bad_csv_records_harm_no_other(tmp_path):
    lines = [
        b"id,text",
        b"1",
        b"2,a,b",
        b"3,\xff",
        b'4,"stray',
        b"5,e",
        b'6,"g"',
        b'7,"x"y',
        b"8,h",
        b'9,"open',
        b"10,j",
    ]
    batch = read_one(tmp_path, "a.csv", b"\n".join(lines))
    assert codes(batch) == {
        2: "ragged_row",
        3: "ragged_row",
        4: "broken_encoding",
        5: "broken_quoting",
        8: "broken_quoting",
        10: "broken_quoting",
    }
    assert batch.rows["id"].to_list() == ["5", "6", "8", "10"]
    assert all(len(refusal.content_digest) == 64 for refusal in batch.refused)


def test_a_wrong_separator_refuses_each_record_and_shows_none(tmp_path):
    batch = read_one(tmp_path, "a.csv", b"id;text\n1;secret\n2;b,c\n")
    assert codes(batch) == {2: "missing_column", 3: "missing_column"}
    assert "the separator seems to be ';'" in batch.refused[0].reason
    headless = read_one(tmp_path, "b.csv", b"1,secret\n2,b\n")
    assert codes(headless) == {2: "missing_column"}
    assert "secret" not in headless.refused[0].reason


def test_a_column_that_is_gone_or_renamed_is_named(tmp_path):
    pl.DataFrame({"id": [1, 2], "body": ["a", "b"]}).write_parquet(tmp_path / "a.parquet")
    write(tmp_path / "b.csv", b"id,body\n1,a\n2,b\n")
    for name, positions in (("a.parquet", [1, 2]), ("b.csv", [2, 3])):
        batch = read_one(tmp_path, name, None)
        assert codes(batch) == dict.fromkeys(positions, "missing_column")
        assert batch.refused[0].reason == "a needed column is missing: text; found 2 columns: id, body"
        allowed = read_one(tmp_path, name, None, optional=True)
        assert texts(allowed) == [("1", None), ("2", None)]


def test_a_schema_that_widens_changes_nothing(tmp_path):
    assert texts(read_one(tmp_path, "a.csv", b"new,id,text,newer\nx,1,a,y\n")) == [("1", "a")]
    pl.DataFrame({"new": [{"a": [1]}], "id": [1], "text": ["a"]}).write_parquet(tmp_path / "a.parquet")
    assert texts(read_one(tmp_path, "a.parquet", None)) == [("1", "a")]


def test_a_needed_column_that_is_there_twice_is_refused(tmp_path):
    assert codes(read_one(tmp_path, "a.csv", b"id,text,text\n1,a,b\n")) == {2: "repeated_column"}
    assert texts(read_one(tmp_path, "b.csv", b"id,text,x,x\n1,a,b,c\n")) == [("1", "a")]
    pq.write_table(pa.Table.from_arrays([pa.array([1])] * 3, names=["id", "text", "text"]), tmp_path / "a.parquet")
    assert codes(read_one(tmp_path, "a.parquet", None)) == {1: "repeated_column"}


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_a_file_in_another_encoding_is_refused_as_one(tmp_path, name, encoding):
    batch = read_one(tmp_path, name, "id,text\n1,a\n".encode(encoding))
    assert codes(batch) == {0: "nul_bytes" if encoding == "utf-16-be" else "broken_encoding"}


def test_nul_bytes_in_a_text_are_kept_and_a_file_full_of_them_is_refused(tmp_path):
    assert texts(read_one(tmp_path, "a.csv", b"id,text\n1,a\x00b\n")) == [("1", "a\x00b")]
    assert texts(read_one(tmp_path, "a.jsonl", b'{"id": "1", "text": "a\\u0000b"}')) == [("1", "a\x00b")]
    for name in ("b.csv", "b.jsonl"):
        assert codes(read_one(tmp_path, name, bytes(10_000))) == {0: "nul_bytes"}
    assert codes(read_one(tmp_path, "b.parquet", bytes(10_000))) == {0: "broken_file"}


def test_injections_are_kept_as_text(tmp_path):
    evil = [
        "'; DROP TABLE x;--",
        "=cmd|' /C calc'!A0",
        "../../etc/passwd",
        'a"b',
        "{{7*7}}",
        "<script>",
        "+1",
        "@x",
        "-1",
    ]
    rows = [(word, word) for word in evil]
    pl.DataFrame({"id": evil, "text": evil}).write_csv(tmp_path / "a.csv")
    pl.DataFrame({"id": evil, "text": evil}).write_ndjson(tmp_path / "a.jsonl")
    pl.DataFrame({"id": evil, "text": evil}).write_parquet(tmp_path / "a.parquet")
    for name in ("a.csv", "a.jsonl", "a.parquet"):
        assert texts(read_one(tmp_path, name, None)) == rows


def test_numbers_as_text_keep_their_digits(tmp_path):
    assert texts(read_one(tmp_path, "a.csv", b"id,text\n007,1e5\n")) == [("007", "1e5")]


@pytest.mark.parametrize(
    "cell", [b'"' + (b"x" * 98 + b"\n") * 100_000 + b'"', b"x" * 10_000_000, b'"' + b'""\n2,b\n' * 300_000 + b'"']
)
def test_ten_megabytes_in_a_csv_field_cost_one_record_and_little_memory(tmp_path, cell):
    path = write(tmp_path / "a.csv", b"id,text\n1," + cell + b"\n2,b\n")
    tracemalloc.start()
    batch = read_one(tmp_path, path, None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert codes(batch) == {2: "field_too_long"}
    assert texts(batch) == [("2", "b")]
    assert peak < 16_000_000


def test_ten_megabytes_in_json_and_parquet_cost_one_record(tmp_path):
    line = b'{"id": "1", "text": "' + b"x" * 10_000_000 + b'"}\n{"id": "2", "text": "b"}\n'
    batch = read_one(tmp_path, "a.jsonl", line)
    assert (codes(batch), texts(batch)) == ({1: "line_too_long"}, [("2", "b")])
    pl.DataFrame({"id": [1, 2], "text": ["x" * 10_000_000, "b"]}).write_parquet(tmp_path / "a.parquet")
    batch = read_one(tmp_path, "a.parquet", None)
    assert (codes(batch), texts(batch)) == ({1: "field_too_long"}, [("2", "b")])


def test_gzip_is_read_by_name_and_by_content(tmp_path):
    content = gzip.compress(b"id,text\n1,a\n") + gzip.compress(b"2,b\n")
    for name in ("a.csv.gz", "b.csv"):
        assert texts(read_one(tmp_path, name, content)) == [("1", "a"), ("2", "b")]
    pl.DataFrame({"id": [1], "text": ["a"]}).write_parquet(tmp_path / "a.parquet")
    packed = gzip.compress((tmp_path / "a.parquet").read_bytes())
    assert texts(read_one(tmp_path, "b.parquet.gz", packed)) == [("1", "a")]
    assert codes(read_one(tmp_path, "c.csv.gz", b"id,text\n1,a\n")) == {0: "broken_file"}


def test_a_gzip_file_cut_short_gives_what_stands_before_the_cut(tmp_path):
    lines = [json.dumps({"id": str(number), "text": str(number * 7919)}).encode() for number in range(5000)]
    packed = gzip.compress(b"\n".join(lines))
    batch = read_one(tmp_path, "a.jsonl.gz", packed[: len(packed) // 2])
    assert 1000 < batch.rows.height < 5000
    assert codes(batch) == {batch.rows.height + 1: "cut_short"}
    assert batch.rows["id"].to_list() == [str(number) for number in range(batch.rows.height)]
    records = b"id,text\n" + b"\n".join(b'%d,"%d\nx"' % (number, number * 7919) for number in range(5000))
    packed = gzip.compress(records)
    batch = read_one(tmp_path, "a.csv.gz", packed[: len(packed) // 2])
    assert codes(batch) == {batch.rows.height * 2 + 2: "cut_short"}
    batch = read_one(tmp_path, "b.csv.gz", packed[:-6] + b"\x00" + packed[-5:])
    assert (batch.rows.height, list(codes(batch).values())) == (4999, ["broken_file"])
    assert codes(read_one(tmp_path, "a.parquet.gz", packed[:100])) == {0: "cut_short"}


def test_a_web_page_where_data_is_due_is_refused(tmp_path):
    page = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head>\n<body>secret, and more</body></html>\n"
    assert set(codes(read_one(tmp_path, "a.csv", page)).values()) == {"missing_column"}
    assert set(codes(read_one(tmp_path, "a.jsonl", page)).values()) == {"broken_json"}
    assert codes(read_one(tmp_path, "a.parquet", page)) == {0: "broken_file"}


def test_parquet_columns_of_every_kind_become_strings(tmp_path):
    moment = datetime.datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001
    columns = {
        "int": pa.array([1, None]),
        "float": pa.array([0.5, None]),
        "half": pa.array([0.5, None], pa.float16()),
        "flag": pa.array([True, None]),
        "decimal": pa.array([Decimal("1.50"), None]),
        "day": pa.array([moment.date(), None]),
        "local": pa.array([moment, None], pa.timestamp("s")),
        "zoned": pa.array([moment, None], pa.timestamp("ns", "Europe/Berlin")),
        "offset": pa.array([moment, None], pa.timestamp("ms", "+02:00")),
        "wild": pa.array([2**62, None], pa.timestamp("us")),
        "word": pa.array(["a", None]).dictionary_encode(),
        "bytes": pa.array([b"a", None]),
        "nothing": pa.nulls(2),
        "list": pa.array([["a", "b"], None]),
        "struct": pa.array([{"a": {"b": 1}}, None]),
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    expected = {
        "int": "1",
        "float": "0.5",
        "half": "0.5",
        "flag": "true",
        "decimal": "1.50",
        "day": "2026-01-02",
        "local": "2026-01-02T03:04:05.000",
        "zoned": "2026-01-02T03:04:05.000000000+00:00",
        "offset": "2026-01-02T03:04:05.000+00:00",
        "bytes": "a",
        "word": "a",
        "nothing": None,
        "list": "a\x1fb",
        "struct.a.b": "1",
        "struct.a.c": None,
    }
    for path, value in expected.items():
        assert read_paths(tmp_path, "a.parquet", path).rows[path].to_list() == [value, None], path
    wild = read_paths(tmp_path, "a.parquet", "wild")
    assert not wild.rows["wild"].to_list()[0].startswith("20")


def test_nested_parquet_values_are_refused_where_a_scalar_is_due(tmp_path):
    things = pa.array([[{"id": 1, "value": "a"}], None])
    pq.write_table(pa.table({"id": [1, 2], "things": things, "s": [{"a": 1}, None]}), tmp_path / "a.parquet")
    batch = read_paths(tmp_path, "a.parquet", "id", "s")
    assert (codes(batch), batch.rows["id"].to_list()) == ({1: "nested_value"}, ["2"])
    batch = read_paths(tmp_path, "a.parquet", "id", "things[id=1].value")
    assert batch.rows.rows() == [(1, "1", "a"), (2, "2", None)]


def test_parquet_texts_that_are_not_utf8_are_refused_alone(tmp_path):
    broken = pa.Array.from_buffers(pa.string(), 3, pa.array([b"a", b"\xff", b"c"]).buffers())
    pq.write_table(pa.table({"id": [1, 2, 3], "text": broken}), tmp_path / "a.parquet")
    batch = read_one(tmp_path, "a.parquet", None)
    assert (codes(batch), texts(batch)) == ({2: "broken_encoding"}, [("1", "a"), ("3", "c")])


def test_a_damaged_parquet_file_gives_what_stands_before_the_damage(tmp_path):
    path = tmp_path / "a.parquet"
    frame = pl.DataFrame({"id": [str(number) for number in range(4000)], "text": ["x"] * 4000})
    frame.write_parquet(path, row_group_size=1000, compression="zstd")
    whole = bytearray(path.read_bytes())
    assert codes(read_one(tmp_path, "b.parquet", bytes(whole[:-100]))) == {0: "broken_file"}
    place = pq.ParquetFile(path).metadata.row_group(3).column(0).data_page_offset
    whole[place : place + 400] = b"\xff" * 400
    batches = read(write(tmp_path / "c.parquet", bytes(whole)), tmp_path, batch_rows=1000)
    rows = sum(batch.rows.height for batch in batches)
    assert rows == 3000
    assert [codes(batch) for batch in batches if batch.refused] == [{3001: "broken_file"}]
    assert [batch.is_last for batch in batches] == [False, False, False, True]


def test_many_rows_are_never_in_memory_at_once(tmp_path):
    path = tmp_path / "a.csv"
    with path.open("wb") as file:
        file.write(b"id,text\n")
        for start in range(0, 60_000, 1_000):
            file.write(b"".join(b"%d,%s\n" % (number, b"x" * 500) for number in range(start, start + 1_000)))
    tracemalloc.start()
    total = sum(
        batch.rows.height
        for batch in read_files(make_source("a.csv"), folder=tmp_path, taken=frozenset(), batch_rows=2_000)
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 60_000
    assert peak < 20_000_000


def test_a_map_of_constants_alone_still_gives_each_row(tmp_path):
    write(tmp_path / "a.csv", b"id,text\n1,a\n2,b\n")
    write(tmp_path / "a.jsonl", b'{"id": 1}\n{"id": 2}\n')
    pl.DataFrame({"id": [1, 2]}).write_parquet(tmp_path / "a.parquet")
    maps = [{"table": "corrections", "columns": {"label": {"constant": "x"}}}]
    for name in ("a.csv", "a.jsonl", "a.parquet"):
        source = FilesSource.model_validate({"name": "x", "kind": "files", "path": name, "maps": maps})
        (batch,) = read_files(source, folder=tmp_path, taken=frozenset())
        assert (batch.rows.columns, batch.rows.height) == ([ROW_POSITION], 2), name
