"""What a reader yields reaches the tables once, wherever the run is stopped, and its state goes with it."""

import os
import shutil
from pathlib import Path

import polars as pl
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from labeling.delta import Tables
from labeling.errors import SourceError, StorageError
from labeling.sources.delivery import deliver
from labeling.tables import INTERACTIONS, REVIEW_TASKS

TABLE = REVIEW_TASKS


def rows(*numbers: int) -> pl.DataFrame:
    return TABLE.frame([{"case_id": str(number), "interaction_id": "i"} for number in numbers])


def read_three(state):
    """Yield three rows from where the state stands."""
    first = state.get("next", 0)
    for number in range(first, first + 3):
        yield TABLE, rows(number)
        state["next"] = number + 1


@pytest.fixture
def place(tmp_path):
    return {"tables": Tables(tmp_path / "tables"), "folder": tmp_path / "collecting"}


def stored(place) -> list[int]:
    return sorted(map(int, place["tables"].read(TABLE)["case_id"]))


def leave_pending(place) -> None:
    """Have a run whose rows no table could take."""
    blocker = place["tables"].root
    blocker.write_text("a file where the folder of tables should be")
    with pytest.raises(StorageError):
        deliver("crm", read_three, **place)
    blocker.unlink()


def test_the_state_moves_on_from_run_to_run(place):
    assert deliver("crm", read_three, **place).inserted == {"review_tasks": 3}
    deliver("crm", read_three, **place)
    assert stored(place) == [0, 1, 2, 3, 4, 5]


def test_sources_keep_their_states_apart(place):
    deliver("crm", read_three, **place)
    assert deliver("helpdesk", read_three, **place).inserted == {"review_tasks": 0}


def test_what_came_before_a_fault_is_stored_and_the_next_run_goes_on_from_there(place):
    def break_off(state):
        for number, made in enumerate(read_three(state)):
            if number == 2:
                raise SourceError("source crm: the server hung up")
            yield made

    delivered = deliver("crm", break_off, **place)
    assert delivered.fault == "source crm: the server hung up"
    assert stored(place) == [0, 1]
    deliver("crm", read_three, **place)
    assert stored(place) == [0, 1, 2, 3, 4]


def test_an_error_that_nobody_foresaw_leaves_everything_as_it_was(place):
    def fail(state):
        yield from read_three(state)
        raise ZeroDivisionError

    with pytest.raises(PipelineStepFailed):
        deliver("crm", fail, **place)
    assert stored(place) == []
    deliver("crm", read_three, **place)
    assert stored(place) == [0, 1, 2]


def test_rows_that_a_table_could_not_take_wait_for_the_next_run(place):
    leave_pending(place)
    delivered = deliver("crm", read_three, **place)
    assert delivered.inserted == {"review_tasks": 6}
    assert stored(place) == [0, 1, 2, 3, 4, 5]


def test_a_package_that_was_killed_while_it_was_deleted_stops_nothing(place):
    leave_pending(place)
    [normalised] = (place["folder"] / "crm" / "load" / "normalized").iterdir()
    left = place["folder"] / "crm" / "normalize" / "extracted" / normalised.name
    (left / "new_jobs").mkdir(parents=True)
    deliver("crm", read_three, **place)
    assert stored(place) == [0, 1, 2, 3, 4, 5]


def test_a_lost_folder_of_states_costs_time_and_no_rows(place):
    deliver("crm", read_three, **place)
    shutil.rmtree(place["folder"])
    deliver("crm", read_three, **place)
    assert stored(place) == [0, 1, 2]


def test_nothing_of_what_was_loaded_stays_in_the_staging(place):
    deliver("crm", read_three, **place)
    kept = [path for path in Path(place["folder"]).rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if path.suffix in {".parquet", ".jsonl", ".arrow"}]


def test_types_come_through_the_staging_unchanged(place):
    made = {"interaction_id": "i", "turn": 3, "text": "naïve 👍", "handled_by": "ai"}
    frame = INTERACTIONS.frame([made])

    def read(state):
        yield INTERACTIONS, frame

    deliver("crm", read, **place)
    assert place["tables"].read(INTERACTIONS).equals(frame)


def test_dlt_is_kept_from_talking_to_anybody(place):
    deliver("crm", read_three, **place)
    assert os.environ["RUNTIME__DLTHUB_TELEMETRY"] == "false"
