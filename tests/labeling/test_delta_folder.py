import os
import shutil
import subprocess
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable, TableFeatures
from hypothesis import given
from hypothesis import strategies as st

from labeling.delta import Merged, Tables
from labeling.delta_files import SMALL_BYTES, DataFile, choose_bins
from labeling.errors import StorageError
from labeling.tables import CORRECTIONS, DELIVERIES
from tests.labeling.delta_rows import NOW, correction, frame, places, stored


@pytest.fixture
def tables(tmp_path) -> Tables:
    return Tables(tmp_path / "tables")


FILES = st.lists(
    st.builds(DataFile, st.uuids().map(str), st.integers(1, 2 * SMALL_BYTES), st.sampled_from("ab"), st.just(False)),
    max_size=30,
)


@given(FILES, st.sampled_from([4, float("inf")]))
def test_only_small_files_of_one_partition_and_of_like_size_are_joined(files, most_uneven):
    bins = choose_bins(files, most_uneven=most_uneven)
    chosen = [file for joined in bins for file in joined]
    assert len(chosen) == len(set(chosen))
    assert set(chosen) <= {file for file in files if file.size < SMALL_BYTES}
    for joined in bins:
        assert len({file.part for file in joined}) == 1
        assert len(joined) > 1
        assert sum(file.size for file in joined) <= 2 * SMALL_BYTES
        assert joined[-1].size <= most_uneven * sum(file.size for file in joined[:-1])


def test_a_large_file_is_not_rewritten_for_a_few_small_ones():
    files = [DataFile(str(size), size, None, False) for size in (10, 12, 11, 1000)]
    assert [[file.size for file in joined] for joined in choose_bins(files, most_uneven=4)] == [[10, 11, 12]]
    assert [[file.size for file in joined] for joined in choose_bins(files)] == [[10, 11, 12, 1000]]


def test_many_small_files_are_joined_by_merging(tables, monkeypatch):
    monkeypatch.setattr("labeling.delta_folder.MOST_SMALL_FILES", 5)
    for number in range(14):
        tables.merge(CORRECTIONS, frame(correction(str(number)), correction("shared", age=number)))
        assert len(places(tables)) <= 7
    assert {row["correction_id"] for row in stored(tables)} == {str(number) for number in range(14)} | {"shared"}
    assert tables.read(CORRECTIONS).filter(correction_id="shared")["label"].to_list() == ["shared at 13"]


def test_a_checkpoint_comes_by_itself(tables):
    for number in range(101):
        tables.merge(DELIVERIES, DELIVERIES.frame([{"source": str(number), "collected_at": NOW}]))
    assert list((tables.root / "deliveries" / "_delta_log").glob("*.checkpoint.parquet"))
    assert tables.read(DELIVERIES).height == 101


def test_compaction_changes_nothing_that_is_read(tables):
    for number in range(6):
        tables.merge(CORRECTIONS, frame(correction(str(number)), correction("shared", age=number)))
    before = stored(tables)
    tables.compact(CORRECTIONS)
    assert stored(tables) == before
    assert tables.merge(CORRECTIONS, frame(correction("0"))) == Merged(0, 0)
    Tables(tables.root.parent / "none").compact(CORRECTIONS)


def test_compaction_leaves_a_running_reader_its_files(tables):
    tables.merge(CORRECTIONS, frame(correction("a"), correction("b")))
    files = places(tables)
    tables.merge(CORRECTIONS, frame(correction("a", age=1)))
    tables.compact(CORRECTIONS)
    assert all(file.exists() for file in files)


def test_other_tools_read_the_tables_as_plain_delta(tables):
    tables.merge(CORRECTIONS, frame(correction("a"), correction("b", age=60 * 24 * 30)))
    tables.merge(CORRECTIONS, frame(correction("a", age=1), correction("c")))
    plain = pl.read_delta(str(tables.root / "corrections"))
    assert plain.drop("_week").sort("correction_id").to_dicts() == stored(tables)
    assert DeltaTable(tables.root / "corrections").count() == 3


@pytest.mark.parametrize("name", ["with space", "50% off", "[a-z]*", "_week=é"])
def test_any_folder_name_will_do(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    tables = Tables(Path(name))
    tables.merge(CORRECTIONS, frame(correction("a"), correction("b")))
    assert tables.merge(CORRECTIONS, frame(correction("a", age=1), correction("c"))) == Merged(1, 1)
    assert tables.delete(CORRECTIONS, pl.col("correction_id") == "b") == 1
    tables.vacuum(CORRECTIONS)
    assert [row["label"] for row in stored(tables)] == ["a at 1", "c at 0"]


def test_a_damaged_table_is_an_error_and_never_an_empty_one(tables):
    tables.merge(CORRECTIONS, frame(correction("a")))
    log = next((tables.root / "corrections" / "_delta_log").glob("*.json"))
    whole = log.read_bytes()
    log.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StorageError, match="cannot be read"):
        tables.read(CORRECTIONS)
    log.write_bytes(whole)
    next((tables.root / "corrections").glob("_week=*/*.parquet")).unlink()
    with pytest.raises(StorageError, match="cannot be read"):
        tables.read(CORRECTIONS)


def test_a_table_killed_before_its_first_commit_starts_anew(tables):
    log = tables.root / "corrections" / "_delta_log"
    log.mkdir(parents=True)
    (tables.root / "corrections" / "orphan.parquet").write_bytes(b"half a file")
    assert tables.read(CORRECTIONS).is_empty()
    tables.merge(CORRECTIONS, frame(correction("a")))
    assert len(stored(tables)) == 1


@pytest.mark.parametrize("number", range(1, 4))
def test_a_merge_killed_between_writing_and_committing_loses_nothing(tables, monkeypatch, number):
    for age in range(number):
        tables.merge(CORRECTIONS, frame(correction("a", age=age)))
    rows = frame(correction("a", age=9), correction("b"))

    def die(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("labeling.delta_folder.committing", die)
        with pytest.raises(KeyboardInterrupt):
            tables.merge(CORRECTIONS, rows)
    assert [row["label"] for row in stored(tables)] == [f"a at {number - 1}"]
    assert tables.merge(CORRECTIONS, rows) == Merged(1, 1)
    tables.vacuum(CORRECTIONS)
    assert len(list((tables.root / "corrections").rglob("part-*.parquet"))) == len(places(tables))


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1 MiB, unmounted afterwards."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    command = [mount or "", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if not mount or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small tmpfs needs root and CAP_SYS_ADMIN, which this machine does not give")
    yield place
    subprocess.run([shutil.which("umount") or "umount", "-l", str(place)], check=True)


def test_a_full_disk_is_a_clear_error_and_loses_nothing(small_disk):
    tables = Tables(small_disk / "tables")
    tables.merge(CORRECTIONS, frame(correction("a")))
    big = [correction(f"b{number}") | {"reason": os.urandom(2000).hex()} for number in range(1000)]
    with pytest.raises(StorageError, match="the disk is full; free some space and run again"):
        tables.merge(CORRECTIONS, frame(*big))
    assert [row["correction_id"] for row in stored(tables)] == ["a"]
    assert len(list(small_disk.glob("tables/corrections/**/part-*.parquet"))) == 1
    assert tables.merge(CORRECTIONS, frame(correction("c"))) == Merged(1, 0)


def test_a_disk_full_at_the_very_first_write_is_the_same_error(small_disk):
    (small_disk / "ballast").write_bytes(b"\0" * 1024 * 1024)
    with pytest.raises(StorageError, match="the disk is full"):
        Tables(small_disk / "tables").merge(CORRECTIONS, frame(correction("a")))
    (small_disk / "ballast").unlink()
    assert Tables(small_disk / "tables").merge(CORRECTIONS, frame(correction("a"))) == Merged(1, 0)


def test_a_table_that_another_tool_upgraded_is_refused(tables):
    tables.merge(CORRECTIONS, frame(correction("a")))
    upgraded = DeltaTable(tables.root / "corrections")
    upgraded.alter.add_feature(TableFeatures.DeletionVectors, allow_protocol_versions_increase=True)
    with pytest.raises(StorageError, match="needs Delta's reader version 1, found 3"):
        tables.read(CORRECTIONS)
