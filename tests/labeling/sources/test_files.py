import gzip
import hashlib
import io
import os
import shutil
import tempfile
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from labeling.errors import SourceError
from labeling.sources.files import read_files
from labeling.sources.records import ROW_POSITION
from labeling.sources.source import FilesSource

LINE = b'{"id": "1", "text": "a"}\n'


def make_source(path: str, *, optional: bool = False, **settings) -> FilesSource:
    columns = {"correction_id": "id", "label": {"from": "text", "optional": optional}}
    maps = [{"table": "corrections", "columns": columns}]
    return FilesSource.model_validate({"name": "mail", "kind": "files", "path": str(path), "maps": maps, **settings})


def taken(batches) -> frozenset[tuple[str, str]]:
    return frozenset((batch.origin, batch.version) for batch in batches)


def read(path, folder, before=(), *, batch_rows=50_000, **settings):
    source = make_source(path, **settings)
    return list(read_files(source, folder=folder, taken=taken(before), batch_rows=batch_rows))


def write(path: Path, content: bytes = LINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def common_user():
    """Root may read everything: be nobody meanwhile, in a folder that nobody may enter."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    yield folder
    if is_root:
        os.seteuid(0)
    shutil.rmtree(folder)


def test_only_files_that_are_new_or_changed_are_read(tmp_path):
    assert read("inbox/mail", tmp_path) == []
    file = write(tmp_path / "inbox/mail/a.jsonl")
    first = read("inbox/mail", tmp_path)
    assert [batch.origin for batch in first] == ["inbox/mail/a.jsonl"]
    assert read("inbox/mail", tmp_path, first) == []
    write(file, LINE + LINE)
    write(tmp_path / "inbox/mail/b.jsonl")
    second = read("inbox/mail", tmp_path, first)
    assert [(batch.origin, batch.rows.height) for batch in second] == [
        ("inbox/mail/a.jsonl", 2),
        ("inbox/mail/b.jsonl", 1),
    ]
    assert second[0].version != first[0].version


def test_a_folder_gives_the_files_of_known_formats_and_none_that_are_hidden_or_under_way(tmp_path):
    for name in ("a.csv", "b.jsonl", "c.CSV.GZ", "d.txt", ".e.csv", "f.csv.part", "g.jsonl.tmp", "h.csv.growing"):
        write(tmp_path / "in" / name, b"")
    (tmp_path / "in/folder.csv").mkdir()
    (tmp_path / "in/link.csv").symlink_to(tmp_path / "in/a.csv")
    names = ["in/a.csv", "in/b.jsonl", "in/c.CSV.GZ", "in/link.csv"]
    assert [batch.origin for batch in read("in", tmp_path)] == names
    assert "in/d.txt" in [batch.origin for batch in read("in", tmp_path, format="csv")]


def test_a_pattern_an_absolute_address_and_one_file_are_sources_too(tmp_path):
    home = tmp_path / "home [1]"
    write(home / "in/x-1.jsonl")
    write(tmp_path / "out/x-1.jsonl")
    write(tmp_path / "out/y-1.jsonl")
    assert [batch.origin for batch in read("in/x-*", home)] == ["in/x-1.jsonl"]
    assert [batch.origin for batch in read("*/x-?.jsonl", home)] == ["in/x-1.jsonl"]
    assert [batch.origin for batch in read("in/x-1.jsonl", home)] == ["in/x-1.jsonl"]
    assert [batch.origin for batch in read(f"{tmp_path}/out/x-*", home)] == [f"{tmp_path}/out/x-1.jsonl"]
    assert [batch.origin for batch in read(f"{tmp_path}/out", home)] == [f"{tmp_path}/out/{x}-1.jsonl" for x in "xy"]


def test_any_fsspec_address_is_a_source(tmp_path):
    import fsspec

    store = fsspec.filesystem("memory")
    store.pipe("/feed/a.jsonl", LINE)
    try:
        first = read("memory://feed", tmp_path)
        assert [(batch.origin, batch.rows.height) for batch in first] == [("memory:///feed/a.jsonl", 1)]
        assert read("memory://feed/*.jsonl", tmp_path, first) == []
        store.pipe("/feed/a.jsonl", LINE)
        assert len(read("memory://feed/a.jsonl", tmp_path, first)) == 1
        assert read("memory://nothing", tmp_path) == []
    finally:
        store.rm("/feed", recursive=True)


def test_an_address_that_is_no_good_is_an_error_without_secrets(tmp_path):
    for path in ("nonsense://x", "sftp://anna:secret@127.0.0.1:9/x", "http://127.0.0.1:9/x.csv?token=secret"):
        with pytest.raises(SourceError, match="source mail: ") as caught:
            read(path, tmp_path)
        assert "secret" not in str(caught.value)
    with pytest.raises(SourceError, match="chained"):
        read("simplecache::s3://bucket/a.csv", tmp_path)
    with pytest.raises(ValidationError, match="separator"):
        make_source("in", separator='"')


def test_batches_are_small_and_the_last_says_so(tmp_path):
    write(tmp_path / "a.jsonl", LINE * 10)
    write(tmp_path / "b.csv", b"id,text\n" + b"1,a\n" * 10)
    pl.DataFrame({"id": range(10), "text": ["a"] * 10}).write_parquet(tmp_path / "c.parquet")
    for name in ("a.jsonl", "b.csv", "c.parquet"):
        batches = read(name, tmp_path, batch_rows=4)
        assert [(batch.rows.height, batch.is_last) for batch in batches] == [(4, False), (4, False), (2, True)]
        positions = pl.concat([batch.rows for batch in batches])[ROW_POSITION]
        assert positions.n_unique() == 10
        assert batches[0].rows.schema == {ROW_POSITION: pl.Int64, "id": pl.String, "text": pl.String}


def test_an_empty_file_is_one_empty_last_batch(tmp_path):
    write(tmp_path / "a.csv", b"")
    write(tmp_path / "b.csv.gz", gzip.compress(b""))
    write(tmp_path / "c.jsonl", b"")
    write(tmp_path / "d.csv", b"id,text\n")
    batches = read(".", tmp_path)
    assert [(batch.rows.height, batch.refused, batch.is_last) for batch in batches] == [(0, (), True)] * 4


def test_files_that_cannot_be_read_stop_no_other_and_are_all_named(common_user):
    for name in ("a.jsonl", "b.jsonl", "c.jsonl", "d.jsonl"):
        write(common_user / name)
    (common_user / "b.jsonl").chmod(0)
    batches = read_files(make_source("*.jsonl"), folder=common_user, taken=frozenset())
    assert next(batches).origin == "a.jsonl"
    (common_user / "c.jsonl").unlink()
    assert next(batches).origin == "d.jsonl"
    with pytest.raises(SourceError, match=r"b\.jsonl \(PermissionError\), c\.jsonl \(FileNotFoundError\)"):
        next(batches)


def test_a_folder_that_cannot_be_listed_is_not_an_empty_one(common_user):
    (common_user / "in").mkdir()
    (common_user / "in").chmod(0)
    with pytest.raises(SourceError, match=r"in cannot be listed \(PermissionError\)"):
        read("in", common_user)
    with pytest.raises(SourceError, match=r"cannot be listed \(PermissionError\)"):
        read("in/*.csv", common_user)
    (common_user / "in").chmod(0o700)


def test_a_dangling_link_is_named(tmp_path):
    (tmp_path / "a.csv").symlink_to(tmp_path / "gone")
    with pytest.raises(SourceError, match=r"a\.csv \(FileNotFoundError\)"):
        read(".", tmp_path)


def test_a_file_of_unknown_format_is_not_taken_for_read(tmp_path):
    write(tmp_path / "a.txt")
    with pytest.raises(SourceError, match=r"a\.txt \(unknown format: set format"):
        read("a.*", tmp_path)
    assert read("a.txt", tmp_path, format="jsonl")[0].rows.height == 1


def serve(protocol, about, open_file):
    """Register a file system that holds one file."""
    import fsspec

    class OneFile(fsspec.AbstractFileSystem):
        def info(self, path, **settings):
            return {"name": "/a.jsonl", "type": "file", "size": 1, **about}

        def _open(self, path, *rest, **settings):
            return open_file()

    fsspec.register_implementation(protocol, OneFile, clobber=True)


def test_a_store_that_tells_no_version_is_asked_for_the_content(tmp_path):
    serve("silent", {}, lambda: io.BytesIO(LINE))
    first = read("silent://a.jsonl", tmp_path)
    assert [batch.version for batch in first] == [hashlib.sha256(LINE).hexdigest()]
    assert read("silent://a.jsonl", tmp_path, first) == []


def test_a_store_that_fails_midway_gives_no_last_batch(tmp_path):
    class FailingFile(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > 500_000:
                raise ConnectionResetError("token=secret")
            return super().read(size)

    serve("failing", {"etag": "1"}, lambda: FailingFile(LINE * 100_000))
    seen = []
    batches = read_files(make_source("failing://a.jsonl"), folder=tmp_path, taken=frozenset(), batch_rows=1000)
    with pytest.raises(SourceError, match="ConnectionResetError") as caught:
        seen.extend(batches)
    assert "secret" not in str(caught.value)
    assert len(seen) > 10
    assert not any(batch.is_last for batch in seen)
