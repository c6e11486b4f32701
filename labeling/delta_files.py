"""The files of a Delta table: written by polars, one a partition, and joined where they are small."""

import json
import math
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
from deltalake.transaction import AddAction

from labeling.tables import Table

PART: Final = "_week"
"""The hidden column by which a table with ``partition`` is cut; "none" where a row has no time."""

SMALL_BYTES: Final = 16 * 2**20
"""Files below this are joined by compaction, to files of at most twice as much."""


@dataclass(frozen=True)
class DataFile:
    """One file of a table: its path in the folder, bytes, partition, and whether the log tells more than its rows."""

    path: str
    size: int
    part: str | None
    is_described: bool


def with_part(table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """Add the hidden column that says in which partition each row is stored, where the table has partitions."""
    if not table.partition:
        return rows
    return rows.with_columns(pl.col(table.partition).dt.strftime("%G-W%V").fill_null("none").alias(PART))


def write_files(path: Path, rows: pl.DataFrame) -> list[AddAction]:
    """Write one file a partition under ``path``; all of them or, where one fails, none.

    Returns:
        What a commit has to say of them: the number of rows and nothing else.
    """
    if rows.is_empty():
        return []
    parts = rows.partition_by(PART, as_dict=True, include_key=False) if PART in rows.columns else {(None,): rows}
    added: list[AddAction] = []
    name = f"part-{time.time_ns():020}-{uuid.uuid4()}.parquet"
    try:
        for (part,), frame in parts.items():
            place = name if part is None else f"{PART}={part}/{name}"
            file = path / place
            added.append(AddAction(place, 0, {} if part is None else {PART: part}, int(time.time() * 1000), True, ""))
            file.parent.mkdir(parents=True, exist_ok=True)
            frame.write_parquet(file, compression="zstd")
            added[-1].size = file.stat().st_size
            added[-1].stats = json.dumps({"numRecords": frame.height})
    except BaseException:
        for action in added:
            (path / action.path).unlink(missing_ok=True)
        raise
    return added


def choose_bins(files: Sequence[DataFile], *, most_uneven: float = math.inf) -> list[list[DataFile]]:
    """Choose which files to join.

    Returns:
        Bins of two or more files below ``SMALL_BYTES`` and of one partition; none is larger than ``most_uneven`` times
        those before it in its bin together.
    """
    bins: list[list[DataFile]] = []
    for file in sorted(files, key=lambda file: (file.part or "", file.size)):
        if file.size >= SMALL_BYTES:
            continue
        last = bins[-1] if bins else []
        together = sum(other.size for other in last)
        is_fit = file.size <= most_uneven * together and together + file.size <= 2 * SMALL_BYTES
        if last and last[0].part == file.part and is_fit:
            last.append(file)
        else:
            bins.append([file])
    return [chosen for chosen in bins if len(chosen) > 1]
