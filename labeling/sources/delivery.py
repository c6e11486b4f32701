"""What a source's reader yields goes through dlt into the tables: the only file that imports dlt.

dlt keeps the rows of one run and the reader's state in one package on disk. A package is loaded whole, or again by the
next run; merging is idempotent, so nothing is lost or doubled wherever a run is killed.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import polars as pl

from labeling.delta import Tables
from labeling.errors import SourceError, StorageError
from labeling.sources.intake import Rows
from labeling.sources.quarantine import KEPT_OUT
from labeling.tables import DELIVERIES, QUARANTINE, TABLES

Read = Callable[[dict[str, Any]], Iterator[Rows]]
"""Yields rows for tables, given the state that the run before left; changes it as it goes."""

_SETTINGS: Final = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "CRITICAL",
    "RESTORE_FROM_DESTINATION": "false",  # the state stays here; loading a copy of it would cost a second a source
    "EXTRACT__WORKERS": "1",
    "NORMALIZE__WORKERS": "1",
    "LOAD__WORKERS": "1",
    "LOAD__DELETE_COMPLETED_JOBS": "true",
    "LOAD__RAISE_ON_MAX_RETRIES": "1",  # a package whose load fails waits for the next run
}
TRACE: Final = "trace.pickle"
"""dlt's account of its last run, errors included; as a pickle it would run whatever somebody put there."""

_BY_NAME: Final = {table.name: table for table in TABLES}


@dataclass
class Delivered:
    """What one run brought: rows inserted and updated by table, and the notes of its deliveries.

    ``kept_out`` is how many rows for a table were refused because they were erased or are past their retention.
    ``fault`` says why the source could not be read to its end, empty where it could.
    """

    inserted: dict[str, int] = field(default_factory=dict)
    updated: dict[str, int] = field(default_factory=dict)
    kept_out: dict[str, int] = field(default_factory=dict)
    notes: list[pl.DataFrame] = field(default_factory=list)
    fault: str = ""


def deliver(name: str, read: Read, *, tables: Tables, folder: Path) -> Delivered:
    """Load what a killed run left behind, then everything that ``read`` yields.

    Args:
        name: the source's.
        read: makes the rows; where it raises SourceError, what it yielded before is loaded all the same.
        tables: where the rows go.
        folder: where dlt keeps its packages and the state, one folder a source.

    Raises:
        StorageError: a table cannot be written; the next run goes on with the same rows.
    """
    for setting, value in _SETTINGS.items():
        os.environ.setdefault(setting, value)
    os.environ.setdefault("DLT_DATA_DIR", str(folder))
    import dlt

    delivered = Delivered()
    failed: list[StorageError] = []
    sink = _sink(tables, delivered, failed)
    pipeline = dlt.pipeline(pipeline_name=name, pipelines_dir=str(folder), destination=sink)

    @dlt.resource(name=name, write_disposition="append", max_table_nesting=0)
    def rows() -> Iterator[Any]:
        try:
            for table, frame in read(dlt.current.resource_state()):
                if frame.height:
                    yield dlt.mark.with_table_name(frame.to_arrow(compat_level=pl.CompatLevel.oldest()), table.name)
        except SourceError as error:
            delivered.fault = str(error)

    work = Path(pipeline.working_dir)
    _finish_deleting(work)
    (work / TRACE).unlink(missing_ok=True)
    try:
        if pipeline.has_pending_data:
            pipeline.run()
        pipeline.run(rows())
    except Exception as error:
        raise (failed[0] if failed else error) from error  # dlt's own tells the same amid its inner workings
    finally:
        (work / TRACE).unlink(missing_ok=True)
    shutil.rmtree(work / "load" / "loaded", ignore_errors=True)
    return delivered


def _sink(tables: Tables, delivered: Delivered, failed: list[StorageError]) -> Any:
    """Return the destination that merges each file of a package into its table."""
    import dlt

    @dlt.destination(
        name="tables",
        batch_size=0,
        loader_file_format="parquet",
        naming_convention="direct",
        skip_dlt_columns_and_tables=True,
        max_parallel_load_jobs=1,
    )
    def merge(path: Any, schema: Any) -> None:
        table = _BY_NAME[schema["name"]]
        rows = pl.read_parquet(path)
        try:
            merged = tables.merge(table, rows)
        except StorageError as error:
            failed.append(error)
            raise
        delivered.inserted[table.name] = delivered.inserted.get(table.name, 0) + merged.inserted
        delivered.updated[table.name] = delivered.updated.get(table.name, 0) + merged.updated
        if table == DELIVERIES:
            delivered.notes.append(rows)
        if table == QUARANTINE:
            for name in rows.filter(pl.col("reason_code").is_in(KEPT_OUT))["table"]:
                delivered.kept_out[name] = delivered.kept_out.get(name, 0) + 1

    return merge()


def _finish_deleting(folder: Path) -> None:
    """Remove the extracted packages that a killed run had begun to delete: dlt cannot read what is left of one.

    dlt deletes a package here once the normalised one stands whole in ``load``, so nothing is lost.
    """
    for package in (folder / "normalize" / "extracted").glob("*"):
        is_normalised = any((folder / "load" / stage / package.name).exists() for stage in ("normalized", "loaded"))
        if is_normalised or not (package / "schema.json").exists():
            shutil.rmtree(package)
