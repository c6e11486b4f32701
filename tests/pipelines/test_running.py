"""What the jobs' runner makes of errors and Ctrl-C: a full disk has its name, and no Ctrl-C is lost."""

import errno
import os
import signal
import sqlite3

import pytest

from labeling.errors import RegistryError, StorageError
from labeling.home import Home
from pipelines.running import no_lost_interrupt, told_when_full


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        sqlite3.OperationalError("database or disk is full"),
    ],
    ids=["file", "quota", "sqlite"],
)
def test_a_full_disk_is_named_however_deep_it_lies(home, error):
    told = RegistryError("the model registry cannot be used")
    told.__cause__ = error
    with pytest.raises(StorageError, match=r"the disk is full; free some space") as named, told_when_full(home):
        raise told
    assert str(home.path) in str(named.value)


def test_what_sqlite_says_of_a_full_disk_is_not_taken_for_one_where_there_is_room(home):
    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"), told_when_full(home):
        raise sqlite3.OperationalError("disk I/O error")


def test_other_errors_pass_as_they_are(home):
    with pytest.raises(RegistryError, match="is locked"), told_when_full(home):
        raise RegistryError("the database is locked")


def test_errors_that_were_raised_from_each_other_are_looked_at_once(home):
    one, two = RuntimeError("one"), RuntimeError("two")
    one.__cause__, two.__cause__ = two, one
    with pytest.raises(RuntimeError, match="one"), told_when_full(home):
        raise one


def press_control_c(then=None):
    os.kill(os.getpid(), signal.SIGINT)
    if then:
        then()


def fail():
    raise RuntimeError("a step failed")


@pytest.fixture
def deaf():
    """Somebody else handles Ctrl-C, and does nothing about it."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("deaf")
def test_control_c_that_somebody_else_took_is_raised_at_the_end():
    done = []
    with pytest.raises(KeyboardInterrupt), no_lost_interrupt():
        press_control_c(then=lambda: done.append("the rest"))
    assert done == ["the rest"]


@pytest.mark.usefixtures("deaf")
def test_control_c_that_was_turned_into_an_error_is_control_c():
    with pytest.raises(KeyboardInterrupt), no_lost_interrupt():
        press_control_c(then=fail)


def test_control_c_is_raised_at_once_where_nobody_else_takes_it():
    done = []
    with pytest.raises(KeyboardInterrupt), no_lost_interrupt():
        press_control_c(then=lambda: done.append("the rest"))
    assert done == []


@pytest.mark.usefixtures("deaf")
def test_without_control_c_all_is_as_ever_and_later_ones_are_not_ours():
    with pytest.raises(RuntimeError, match="a step failed"), no_lost_interrupt():
        fail()
    with no_lost_interrupt():
        pass
    press_control_c()
