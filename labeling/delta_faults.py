"""What goes wrong with a stored table, turned into errors that say what to do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl
from deltalake.exceptions import CommitFailedError, DeltaError

from labeling.errors import StorageError
from labeling.tables import Table


class CommitLost(Exception):
    """Another writer committed first; nothing of ours is stored."""


@contextmanager
def readable(table: Table) -> Iterator[None]:
    """Turn what goes wrong while stored rows are read into a StorageError."""
    try:
        yield
    except (pl.exceptions.PolarsError, DeltaError, OSError) as error:
        raise StorageError(unreadable(table, error)) from error


@contextmanager
def writable(table: Table) -> Iterator[None]:
    """Turn what goes wrong while rows are written into a StorageError."""
    try:
        yield
    except (pl.exceptions.PolarsError, DeltaError, OSError) as error:
        raise StorageError(unwritable(table, error)) from error


def unreadable(table: Table, error: Exception) -> str:
    """Say that the stored table is damaged."""
    return (
        f"table {table.name} cannot be read ({type(error).__name__}): restore its folder from a backup, or move it away"
    )


def unwritable(table: Table, error: Exception) -> str:
    """Say why nothing can be stored: the disk is full, or the folder does not allow it."""
    if _is_full(error):
        return (
            f"table {table.name} cannot be written: the disk is full; free some space and run again, nothing was lost"
        )
    return f"table {table.name} cannot be written ({type(error).__name__}): check the folder's rights and run again"


@contextmanager
def committing() -> Iterator[None]:
    """Turn a commit that another writer forestalled into CommitLost."""
    try:
        yield
    except CommitFailedError as error:
        if _is_full(error):
            raise
        raise CommitLost from error


def _is_full(error: Exception) -> bool:
    return "No space left" in str(error) or getattr(error, "errno", None) == errno.ENOSPC
