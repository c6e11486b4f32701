"""Stopped in every phase, by Ctrl-C, kill -9 or a full disk, and started again: nothing is lost or doubled."""

import pytest

from assets.resources import Loop
from labeling import tables as t
from labeling.home import Home
from tests.e2e.outcome import COMPARED, read_ledger, read_registry, read_rows
from tests.e2e.playing import is_finished
from tests.faults.stopping import PHASES, How

GOES_ON = "the same command goes on from here"


def test_stops_of_every_kind_fall_into_their_phases(stopped):
    fell = [done.stop for done in stopped.stops if done.fell]
    assert len(fell) >= len(PHASES) - 2, fell
    assert {stop.how for stop in fell} >= {How.CONTROL_C, How.KILL}


def test_control_c_says_that_the_same_command_goes_on(stopped):
    interrupted = [done.ended for done in stopped.stops if done.fell and done.stop.how is How.CONTROL_C]
    assert interrupted
    for ended in interrupted:
        assert ended.code == 130, ended.said
        assert GOES_ON in ended.said
        assert "Traceback" not in ended.said


def test_a_stopped_play_goes_on_where_it_was(stopped):
    assert is_finished(stopped.home)
    assert "week 0 ·" not in stopped.last.said
    assert "week by week" in stopped.last.said


@pytest.mark.parametrize("table", COMPARED, ids=lambda table: table.name)
def test_tables_are_those_of_an_undisturbed_play(played, stopped, table):
    found, expected = read_rows(stopped.home, table), read_rows(played.home, table)
    assert expected or table == t.QUARANTINE
    assert found == expected


def test_no_key_stands_twice(stopped):
    for table in t.TABLES:
        rows = Home(stopped.home).tables.read(table, columns=list(table.key))
        assert rows.n_unique() == rows.height, table.name


def test_versions_aliases_and_decisions_are_those_of_an_undisturbed_play(played, stopped):
    assert read_registry(stopped.home) == read_registry(played.home)
    assert read_ledger(stopped.home) == read_ledger(played.home)
    Loop(home=str(stopped.home)).open_ledger().verify()


def test_no_run_looks_as_if_it_still_ran(stopped):
    from pipelines.running import open_instance

    with open_instance(Home(stopped.home)) as instance:
        ended = {run.status.value for run in instance.get_runs()}
    assert ended <= {"SUCCESS", "FAILURE", "CANCELED"}
    assert "SUCCESS" in ended


@pytest.fixture
def filled(stopped):
    """The play whose disk was full several times."""
    if stopped.no_small_disk:
        pytest.skip(f"no small disk can be mounted here: {stopped.no_small_disk}")
    return stopped


def assert_told(ended):
    assert ended.code == 1, ended.said
    assert "Traceback" not in ended.said
    [told] = [line for line in ended.said.splitlines() if line.startswith("error: ")]
    assert "the disk is full" in told
    assert "free some space" in told


def test_a_disk_that_is_full_from_the_start_is_named(filled):
    assert_told(filled.never_began)


def test_a_disk_that_fills_up_in_a_phase_is_named(filled):
    full = [done for done in filled.stops if done.stop.how is How.FULL_DISK and done.fell]
    assert full
    for done in full:
        assert_told(done.ended)


def test_the_same_command_finishes_once_there_is_room(filled):
    assert filled.last.code == 0
    assert (filled.home / "reports" / "replay.html").stat().st_size > 10_000
