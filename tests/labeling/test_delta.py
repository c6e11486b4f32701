import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.delta import Merged, Tables
from labeling.errors import StorageError
from labeling.tables import CORRECTIONS, LABELS, PREDICTIONS

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROOT = Path(__file__).parents[2]
WRITE = """
import sys
from pathlib import Path
from labeling.delta import Tables
from tests.labeling.test_delta import correction, frame
from labeling.tables import CORRECTIONS
tables = Tables(Path(sys.argv[1]))
for number in range(8):
    tables.merge(CORRECTIONS, frame(correction(f"{sys.argv[2]}-{number}"), correction("shared", age=number)))
"""


def correction(name: str, *, age: int = 0, label: str | None = None) -> dict:
    """A correction whose content follows from its id and age, as that of a real event does."""
    at = NOW + timedelta(minutes=age)
    return {"correction_id": name, "label": label or f"{name} at {age}", "corrected_at": at}


def frame(*rows: dict) -> pl.DataFrame:
    return CORRECTIONS.frame(list(rows))


def stored(tables: Tables) -> list[dict]:
    return tables.read(CORRECTIONS).sort("correction_id").to_dicts()


@pytest.fixture
def tables(tmp_path) -> Tables:
    return Tables(tmp_path / "tables")


def test_a_table_that_was_never_written_is_empty_and_has_its_schema(tables):
    assert tables.read(CORRECTIONS).equals(CORRECTIONS.empty())
    assert tables.version(CORRECTIONS) == -1
    assert tables.merge(CORRECTIONS, CORRECTIONS.empty()) == Merged(0, 0)
    assert tables.version(CORRECTIONS) == -1


def test_the_same_rows_twice_are_the_same_as_once(tables):
    rows = frame(correction("a"), correction("b"))
    assert tables.merge(CORRECTIONS, rows) == Merged(2, 0)
    once = stored(tables)
    assert tables.merge(CORRECTIONS, rows) == Merged(0, 0)
    assert stored(tables) == once
    assert tables.read(CORRECTIONS).schema == pl.Schema(CORRECTIONS.schema)


def test_newer_supersedes_and_older_is_ignored(tables):
    tables.merge(CORRECTIONS, frame(correction("a", age=5)))
    assert tables.merge(CORRECTIONS, frame(correction("a", age=3))) == Merged(0, 0)
    assert tables.merge(CORRECTIONS, frame(correction("a", age=7), correction("a", age=6))) == Merged(0, 1)
    assert [row["label"] for row in stored(tables)] == ["a at 7"]


def test_a_dated_row_supersedes_an_undated_one_and_not_the_other_way(tables):
    tables.merge(CORRECTIONS, frame(correction("a") | {"corrected_at": None}))
    assert tables.merge(CORRECTIONS, frame(correction("a", age=1))) == Merged(0, 1)
    assert tables.merge(CORRECTIONS, frame(correction("a") | {"corrected_at": None})) == Merged(0, 0)


def test_in_a_table_without_an_age_the_first_row_stays(tables):
    said = {"interaction_id": "i", "task": "intent", "model_version": "1", "label": "x"}
    tables.merge(PREDICTIONS, PREDICTIONS.frame([said, said | {"label": "y"}]))
    assert tables.merge(PREDICTIONS, PREDICTIONS.frame([said | {"label": "z"}])) == Merged(0, 0)
    assert tables.read(PREDICTIONS)["label"].to_list() == ["x"]


@settings(max_examples=12, deadline=None)
@given(st.data())
def test_any_order_and_any_batches_give_the_same_table(tmp_path_factory, data):
    event = st.builds(correction, st.sampled_from("abc"), age=st.integers(0, 4))
    events = data.draw(st.lists(event, min_size=1, max_size=8))
    turned = data.draw(st.permutations(events))
    cut = data.draw(st.integers(0, len(events)))
    once, pieces = Tables(tmp_path_factory.mktemp("once")), Tables(tmp_path_factory.mktemp("pieces"))
    once.merge(CORRECTIONS, frame(*events))
    for part in (turned[:cut], turned[cut:], turned[:cut]):
        pieces.merge(CORRECTIONS, frame(*part))
    assert stored(pieces) == stored(once)


def test_columns_and_filters_read_what_they_name(tables):
    tables.merge(CORRECTIONS, frame(correction("a"), correction("b")))
    read = tables.read(CORRECTIONS, columns=["label"], where=pl.col("correction_id") == "b")
    assert read.to_dicts() == [{"label": "b at 0"}]


def test_odd_texts_and_lists_come_back_as_they_went(tables):
    row = {
        "interaction_id": "'; DROP TABLE t; --",
        "task": 'é\n"quoted"',
        "answer_ids": ["r\x001", ""],
        "settled_at": NOW,
    }
    tables.merge(LABELS, LABELS.frame([row]))
    assert tables.merge(LABELS, LABELS.frame([row])) == Merged(0, 0)
    assert tables.read(LABELS).select(list(row)).to_dicts() == [row]


def test_another_schema_version_is_refused(tables):
    tables.merge(CORRECTIONS, frame(correction("a")))
    later = replace(CORRECTIONS, version=2)
    with pytest.raises(StorageError, match="needs schema version 2, found 1"):
        tables.read(later)
    with pytest.raises(StorageError, match="needs schema version 2, found 1"):
        tables.merge(later, frame(correction("b")))
    assert len(stored(tables)) == 1


def test_a_damaged_table_is_an_error_and_never_an_empty_one(tables):
    tables.merge(CORRECTIONS, frame(correction("a")))
    log = next((tables.root / "corrections" / "_delta_log").glob("*.json"))
    whole = log.read_bytes()
    log.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StorageError, match="cannot be read"):
        tables.read(CORRECTIONS)
    log.write_bytes(whole)
    next((tables.root / "corrections").glob("*.parquet")).unlink()
    with pytest.raises(StorageError, match="cannot be read"):
        tables.read(CORRECTIONS)


def test_a_table_killed_before_its_first_commit_starts_anew(tables):
    log = tables.root / "corrections" / "_delta_log"
    log.mkdir(parents=True)
    (tables.root / "corrections" / "orphan.parquet").write_bytes(b"half a file")
    assert tables.read(CORRECTIONS).is_empty()
    tables.merge(CORRECTIONS, frame(correction("a")))
    assert len(stored(tables)) == 1


def test_compaction_changes_nothing_that_is_read(tables):
    for number in range(6):
        tables.merge(CORRECTIONS, frame(correction(str(number)), correction("shared", age=number)))
    before = stored(tables)
    tables.compact(CORRECTIONS)
    assert stored(tables) == before
    assert tables.merge(CORRECTIONS, frame(correction("0"))) == Merged(0, 0)
    Tables(tables.root.parent / "none").compact(CORRECTIONS)


def test_two_processes_that_merge_at_once_lose_nothing(tables):
    command = [sys.executable, "-c", WRITE, str(tables.root)]
    writers = [subprocess.Popen([*command, name], cwd=ROOT) for name in ("p", "q")]
    assert [writer.wait() for writer in writers] == [0, 0]
    expected = {f"{name}-{number}" for name in "pq" for number in range(8)} | {"shared"}
    rows = stored(tables)
    assert [row["correction_id"] for row in rows] == sorted(expected)
    assert next(row["label"] for row in rows if row["correction_id"] == "shared") == "shared at 7"


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
    for orphan in small_disk.glob("tables/corrections/*.parquet"):
        if orphan.stat().st_size > 10_000:
            orphan.unlink()
    assert tables.merge(CORRECTIONS, frame(correction("c"))) == Merged(1, 0)


def test_a_disk_full_at_the_very_first_write_is_the_same_error(small_disk):
    (small_disk / "ballast").write_bytes(b"\0" * 1024 * 1024)
    with pytest.raises(StorageError, match="the disk is full"):
        Tables(small_disk / "tables").merge(CORRECTIONS, frame(correction("a")))
    (small_disk / "ballast").unlink()
    assert Tables(small_disk / "tables").merge(CORRECTIONS, frame(correction("a"))) == Merged(1, 0)
