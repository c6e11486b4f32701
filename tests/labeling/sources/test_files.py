import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeling.config import load_config, parse_config
from labeling.errors import ConfigError, SourceError
from labeling.sources.files import LINE_LIMIT, Source, SourcesConfig, new_files, read_events
from labeling.tables import DELIVERIES

CONFIGS = Path(__file__).parents[3] / "configs"
SOURCE = Source(name="mail", kind="files", table="interactions", path="inbox/mail")


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def note(*files) -> pl.DataFrame:
    return DELIVERIES.frame([{"table": "interactions", "path": file.name, "digest": file.digest} for file in files])


def test_the_repository_s_sources_load():
    assert load_config(CONFIGS / "sources.yaml", SourcesConfig).of_table("corrections")[0].path == "inbox/corrections"


def test_wrong_sources_report_every_fault():
    raw = {"schema_version": 1, "sources": [{"name": "A", "kind": "ftp", "table": "x", "path": ""}]}
    with pytest.raises(ConfigError) as caught:
        parse_config(raw, SourcesConfig, name="sources.yaml")
    assert len(caught.value.faults) == 4
    twice = {"schema_version": 1, "sources": [SOURCE.model_dump()] * 2}
    with pytest.raises(ConfigError, match="repeated: mail"):
        parse_config(twice, SourcesConfig, name="sources.yaml")


def test_only_files_with_new_content_are_new(tmp_path):
    assert new_files(SOURCE, folder=tmp_path, deliveries=note()) == []
    first = write(tmp_path / "inbox/mail/a.jsonl", b"{}\n")
    write(tmp_path / "inbox/mail/notes.txt", b"not mine")
    (tmp_path / "inbox/mail/b.jsonl").mkdir()
    (seen,) = new_files(SOURCE, folder=tmp_path, deliveries=note())
    assert (seen.path, seen.name) == (first, "inbox/mail/a.jsonl")
    assert new_files(SOURCE, folder=tmp_path, deliveries=note(seen)) == []
    write(first, b"{}\n{}\n")
    (grown,) = new_files(SOURCE, folder=tmp_path, deliveries=note(seen))
    assert grown.digest != seen.digest


def test_a_pattern_and_an_absolute_path_are_sources_too(tmp_path):
    write(tmp_path / "elsewhere/x-1.json", b"{}")
    write(tmp_path / "elsewhere/y-1.json", b"{}")
    source = Source(name="x", kind="files", table="interactions", path=str(tmp_path / "elsewhere" / "x-*.json"))
    (found,) = new_files(source, folder=tmp_path / "home", deliveries=note())
    assert found.name == (tmp_path / "elsewhere/x-1.json").as_posix()


def test_a_file_that_cannot_be_read_is_not_an_empty_one(tmp_path):
    with pytest.raises(SourceError, match="cannot be read"):
        read_events(tmp_path / "gone.jsonl", columns=["a"])


def test_every_line_is_a_row_or_a_refusal(tmp_path):
    lines = [
        b'\xef\xbb\xbf{"a": "caf\xc3\xa9", "b": 12345678901234567890.50, "unknown": [1]}',
        b"",
        b"not json",
        b'{"a": "cut sho',
        b'{"a": "\xff\xfe"}',
        b"[1, 2]",
        b'"text"',
        b'{"a": {"deep": 1}}',
        b"[" * 100_000,
        b'{"a": ' + b"9" * 10_000 + b"}",
        b'{"a": "\\ud83d", "b": true}',
        b'{"a": NaN, "b": null}',
        b'{"a": "' + b"x" * LINE_LIMIT + b'"}',
        b'{"a": "last"}',
    ]
    read = read_events(write(tmp_path / "a.jsonl", b"\n".join(lines)), columns=["a", "b"])
    assert {refusal.position: refusal.code for refusal in read.refused} == {
        3: "broken_json",
        4: "broken_json",
        5: "broken_encoding",
        6: "not_an_object",
        7: "not_an_object",
        8: "nested_value",
        9: "broken_json",
        13: "line_too_long",
    }
    assert read.rows.rows() == [
        (1, "café", "12345678901234567890.50"),
        (10, "9" * 10_000, None),
        (11, "\ufffd", "true"),
        (12, "NaN", None),
        (14, "last", None),
    ]


def test_a_file_in_another_encoding_is_refused_line_by_line(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"a": "é"}\n{"a": "b"}\n'.encode("utf-16"))
    read = read_events(path, columns=["a"])
    assert read.rows.is_empty()
    assert {refusal.code for refusal in read.refused} <= {"broken_encoding", "broken_json"}
    assert len(read.refused) >= 2


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.recursive(
                st.none() | st.booleans() | st.floats() | st.text(max_size=8),
                lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
                max_leaves=6,
            ).map(lambda value: json.dumps(value).encode()),
        ),
        max_size=8,
    )
)
def test_no_content_breaks_the_reader_and_counts_add_up(tmp_path_factory, lines):
    content = b"\n".join(lines)
    read = read_events(write(tmp_path_factory.mktemp("fuzz") / "a.jsonl", content), columns=["a", "b"])
    filled = sum(1 for line in content.split(b"\n") if line.strip())
    assert read.rows.height + len(read.refused) == filled
    positions = [*read.rows["position"], *(refusal.position for refusal in read.refused)]
    assert len(set(positions)) == filled
