import itertools
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.delta import Merged, Tables
from labeling.delta_files import with_part
from labeling.delta_folder import DeltaFolder
from labeling.tables import CORRECTIONS, LABELS, PREDICTIONS
from tests.labeling.delta_rows import NOW, correction, frame, places, stored

AGELESS = replace(PREDICTIONS, newest="")
ROOT = Path(__file__).parents[2]
WRITE = """
import sys
from pathlib import Path
from labeling.delta import Tables
from tests.labeling.delta_rows import correction, frame
from labeling.tables import CORRECTIONS
tables = Tables(Path(sys.argv[1]))
for number in range(8):
    tables.merge(CORRECTIONS, frame(correction(f"{sys.argv[2]}-{number}"), correction("shared", age=number)))
"""


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
    tables.merge(AGELESS, AGELESS.frame([said, said | {"label": "y"}]))
    assert tables.merge(AGELESS, AGELESS.frame([said | {"label": "z"}])) == Merged(0, 0)
    assert tables.read(AGELESS)["label"].to_list() == ["x"]


LETTERS = st.sampled_from([None, "x", "y", "z"])
EVENTS = st.builds(
    lambda name, age, label, agent: {
        "correction_id": name,
        "corrected_at": None if age is None else NOW + timedelta(days=4 * age),
        "label": label,
        "agent_id": agent,
    },
    st.sampled_from("abcd"),
    st.sampled_from([None, 0, 1, 2]),
    LETTERS,
    LETTERS,
)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_order_and_any_batches_give_the_same_table(tmp_path_factory, data):
    """Equal ages with unequal content, undated rows and duplicates included."""
    events = data.draw(st.lists(EVENTS, min_size=1, max_size=10))
    turned = data.draw(st.permutations(events))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(events)), max_size=3)))
    once, pieces = Tables(tmp_path_factory.mktemp("once")), Tables(tmp_path_factory.mktemp("pieces"))
    once.merge(CORRECTIONS, frame(*events))
    for first, last in itertools.pairwise([0, *cuts, len(events)]):
        pieces.merge(CORRECTIONS, frame(*turned[first:last]))
    pieces.merge(CORRECTIONS, frame(*turned[: len(events) // 2]))
    assert stored(pieces) == stored(once)
    newest = once.version(CORRECTIONS)
    assert once.merge(CORRECTIONS, frame(*turned)) == Merged(0, 0)
    assert once.version(CORRECTIONS) == newest


def test_of_two_rows_of_one_age_the_content_decides_and_not_the_order(tables):
    first, second = correction("a", label="x"), correction("a", label="y")
    tables.merge(CORRECTIONS, frame(second, correction("b", label="y"), correction("b", label="x")))
    assert tables.merge(CORRECTIONS, frame(first, correction("b", label="x"))) == Merged(0, 0)
    assert [row["label"] for row in stored(tables)] == ["y", "y"]
    assert tables.merge(CORRECTIONS, frame(correction("a", label="z"))) == Merged(0, 1)


def test_rows_without_a_key_s_part_are_one_row_like_any_other(tables):
    nameless = {"interaction_id": "i", "task": None, "model_version": "1", "label": "x"}
    tables.merge(AGELESS, AGELESS.frame([nameless]))
    assert tables.merge(AGELESS, AGELESS.frame([nameless])) == Merged(0, 0)


def test_a_call_that_changes_nothing_makes_no_commit(tables):
    tables.merge(CORRECTIONS, frame(correction("a", age=5)))
    newest = tables.version(CORRECTIONS)
    tables.merge(CORRECTIONS, frame(correction("a", age=5), correction("a", age=1)))
    assert tables.delete(CORRECTIONS, pl.col("correction_id") == "none") == 0
    assert tables.version(CORRECTIONS) == newest


def test_one_merge_is_one_commit_that_rewrites_only_files_with_superseded_rows(tables):
    tables.merge(CORRECTIONS, frame(correction("a"), correction("b", age=60 * 24 * 30)))
    files = places(tables)
    newest = tables.version(CORRECTIONS)
    rows = frame(correction("a", age=60 * 24 * 90), correction("c", age=60 * 24 * 60))
    assert tables.merge(CORRECTIONS, rows) == Merged(1, 1)
    assert tables.version(CORRECTIONS) == newest + 1
    assert len(set(files) & set(places(tables))) == 1


def test_a_row_keeps_the_partition_of_its_first_arrival(tables):
    tables.merge(CORRECTIONS, frame(correction("a"), correction("undated") | {"corrected_at": None}))
    tables.merge(CORRECTIONS, frame(correction("a", age=60 * 24 * 90), correction("undated", age=5)))
    assert {place.parent.name for place in places(tables)} == {"_week=2026-W09", "_week=none"}
    assert "_week" not in tables.read(CORRECTIONS).columns
    assert tables.read(CORRECTIONS)["corrected_at"].null_count() == 0


def test_a_week_is_the_iso_week_in_utc(tables):
    new_year = datetime(2025, 12, 29, tzinfo=UTC)
    rows = [correction(f"{day}") | {"corrected_at": new_year + timedelta(days=day)} for day in (-1, 0, 6, 7)]
    tables.merge(CORRECTIONS, frame(*rows))
    weeks = {place.parent.name.removeprefix("_week=") for place in places(tables)}
    assert weeks == {"2025-W52", "2026-W01", "2026-W02"}


def test_find_returns_those_of_the_values_that_are_stored(tables):
    asked = pl.Series(["b", "none", "b", None, "a"])
    assert tables.find(CORRECTIONS, "correction_id", asked).to_list() == []
    tables.merge(CORRECTIONS, frame(correction("a"), correction("b", age=60 * 24 * 30), correction("c")))
    assert tables.find(CORRECTIONS, "correction_id", asked).to_list() == ["a", "b"]


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


def test_another_writer_s_commit_is_met_by_reading_again(tables, monkeypatch):
    tables.merge(CORRECTIONS, frame(correction("a")))
    commit, other, lost = DeltaFolder.commit, Tables(tables.root), []

    def commit_second(folder, rows, *, gone=()):
        if not lost:
            lost.append(1)
            write_behind_the_lock(other.root / "corrections", frame(correction("b", label="theirs", age=9)))
        commit(folder, rows, gone=gone)

    monkeypatch.setattr(DeltaFolder, "commit", commit_second)
    assert tables.merge(CORRECTIONS, frame(correction("b"), correction("c"))) == Merged(1, 0)
    assert [row["label"] for row in stored(tables)] == ["a at 0", "theirs", "c at 0"]


def write_behind_the_lock(folder: Path, rows: pl.DataFrame) -> None:
    write_deltalake(folder, with_part(CORRECTIONS, rows).to_arrow(), mode="append")


def test_two_processes_that_merge_at_once_lose_nothing(tables):
    command = [sys.executable, "-c", WRITE, str(tables.root)]
    writers = [subprocess.Popen([*command, name], cwd=ROOT) for name in ("p", "q")]
    assert [writer.wait() for writer in writers] == [0, 0]
    expected = {f"{name}-{number}" for name in "pq" for number in range(8)} | {"shared"}
    rows = stored(tables)
    assert [row["correction_id"] for row in rows] == sorted(expected)
    assert next(row["label"] for row in rows if row["correction_id"] == "shared") == "shared at 7"
