"""Keeping the tables quick to read, and no longer than they may be kept."""

import dagster as dg

from assets.erasing import find_unfinished
from assets.resources import Loop
from assets.retention import keep_to_periods
from labeling.tables import TABLES


@dg.op
def end_retention(context: dg.OpExecutionContext, loop: Loop) -> None:
    """Delete the rows that are older than ``retention`` of settings.yaml allows."""
    gone = keep_to_periods(loop)
    for name, rows in gone.items():
        context.log.info(f"{rows} of {name} have reached their period of retention")
    if not gone:
        context.log.info("no row has reached its period of retention")
    if unfinished := find_unfinished(loop):
        context.log.warning(f"{unfinished} erasures were begun and not finished: give their `cxloop erase` again")


@dg.op(ins={"kept": dg.In(dg.Nothing)})
def compact_tables(context: dg.OpExecutionContext, loop: Loop) -> None:
    """Join small files, write checkpoints, and remove files that no reader needs."""
    for table in TABLES:
        loop.tables.compact(table)
        context.log.info(f"compacted {table.name}")


@dg.job(description="Delete what is past its retention; compact the tables, so that reads do not slow as commits grow.")
def maintain_job() -> None:
    """Keep to the periods of retention, then compact every table."""
    compact_tables(kept=end_retention())
