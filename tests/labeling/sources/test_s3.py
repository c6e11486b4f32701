import pytest

from labeling.errors import SourceError
from labeling.sources.files import read_files
from tests.labeling.sources.test_files import make_source, taken


@pytest.fixture
def bucket(s3):
    s3.mkdir("feed")
    return s3


def source(server, path):
    return make_source(path, storage={"client_kwargs": {"endpoint_url": server}})


def read(server, path, folder, before=()):
    return list(read_files(source(server, path), folder=folder, taken=taken(before)))


def test_the_second_run_reads_new_and_changed_objects_only(bucket, s3_server, tmp_path):
    bucket.pipe({"feed/in/a.csv": b"id,text\n1,a\n", "feed/in/b.csv": b"id,text\n2,b\n", "feed/in/_SUCCESS": b""})
    first = read(s3_server, "s3://feed/in", tmp_path)
    assert [(batch.origin, batch.rows["id"].to_list()) for batch in first] == [
        ("s3://feed/in/a.csv", ["1"]),
        ("s3://feed/in/b.csv", ["2"]),
    ]
    assert read(s3_server, "s3://feed/in", tmp_path, first) == []
    bucket.pipe(
        {"feed/in/a.csv": b"id,text\n1,c\n", "feed/in/c.csv": b"id,text\n3,c\n", "feed/in/b.csv": b"id,text\n2,b\n"}
    )
    second = read(s3_server, "s3://feed/in/", tmp_path, first)
    assert [batch.origin for batch in second] == ["s3://feed/in/a.csv", "s3://feed/in/c.csv"]
    assert second[0].rows["text"].to_list() == ["c"]


def test_patterns_folders_and_single_objects_are_addresses(bucket, s3_server, tmp_path):
    bucket.pipe({"feed/x/a.csv": b"id,text\n1,a\n", "feed/y/a.csv": b"id,text\n2,b\n", "feed/y/b.csv.part": b"id"})
    assert len(read(s3_server, "s3://feed/*/a.csv", tmp_path)) == 2
    assert [batch.origin for batch in read(s3_server, "s3://feed/y/*", tmp_path)] == ["s3://feed/y/a.csv"]
    assert [batch.origin for batch in read(s3_server, "s3://feed/x/a.csv", tmp_path)] == ["s3://feed/x/a.csv"]
    assert read(s3_server, "s3://feed/nothing/here", tmp_path) == []
    assert read(s3_server, "s3://feed/nothing/*.csv", tmp_path) == []


def test_a_wrong_bucket_is_an_error_that_tells_no_secret(s3, s3_server, tmp_path):
    for path in ("s3://no-such-bucket/in", "s3://no-such-bucket/in/*.csv", "s3://no-such-bucket/*/in.csv"):
        with pytest.raises(SourceError, match=r"source mail: .* cannot be listed") as caught:
            read(s3_server, path, tmp_path)
        assert "canary" not in str(caught.value)
        assert "nobody" not in str(caught.value)


def test_no_credentials_and_no_server_are_errors(bucket, s3_server, tmp_path, monkeypatch):
    nowhere = {"endpoint_url": "http://127.0.0.1:9"}
    settings = {"client_kwargs": nowhere, "config_kwargs": {"retries": {"max_attempts": 0}}}
    gone = make_source("s3://feed/in", storage=settings)
    with pytest.raises(SourceError, match="cannot be listed"):
        list(read_files(gone, folder=tmp_path, taken=frozenset()))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(SourceError, match="cannot be listed"):
        read(s3_server, "s3://feed/in", tmp_path)


def test_an_object_that_goes_between_listing_and_reading_stops_no_other(bucket, s3_server, tmp_path):
    bucket.pipe(
        {"feed/in/a.csv": b"id,text\n1,a\n", "feed/in/b.csv": b"id,text\n2,b\n", "feed/in/c.csv": b"id,text\n3,c\n"}
    )
    batches = read_files(source(s3_server, "s3://feed/in"), folder=tmp_path, taken=frozenset())
    assert next(batches).rows["id"].to_list() == ["1"]
    bucket.rm("feed/in/b.csv")
    assert next(batches).rows["id"].to_list() == ["3"]
    with pytest.raises(SourceError, match=r"s3://feed/in/b\.csv \(FileNotFoundError\)"):
        next(batches)


def test_a_large_parquet_object_is_read(bucket, s3_server, tmp_path):
    import polars as pl

    with bucket.open("feed/in/a.parquet", "wb") as file:
        pl.DataFrame({"id": range(30_000), "text": ["x"] * 30_000}).write_parquet(file, row_group_size=1_000)
    rows = [batch.rows.height for batch in read(s3_server, "s3://feed/in", tmp_path)]
    assert sum(rows) == 30_000
