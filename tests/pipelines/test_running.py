"""Errors as the jobs' runner tells them: a full disk by its name, whatever stands around it."""

import errno
import sqlite3

import pytest

from labeling.errors import RegistryError, StorageError
from labeling.home import Home
from pipelines.running import told_when_full


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


def test_other_errors_pass_as_they_are(home):
    with pytest.raises(RegistryError, match="is locked"), told_when_full(home):
        raise RegistryError("the database is locked")


def test_errors_that_were_raised_from_each_other_are_looked_at_once(home):
    one, two = RuntimeError("one"), RuntimeError("two")
    one.__cause__, two.__cause__ = two, one
    with pytest.raises(RuntimeError, match="one"), told_when_full(home):
        raise one
