"""Keeping the tables quick to read."""

import dagster as dg

from assets.resources import Loop
from labeling.tables import TABLES


@dg.op
def compact_tables(context: dg.OpExecutionContext, loop: Loop) -> None:
    """Join small files, write checkpoints, and remove files that no reader needs."""
    for table in TABLES:
        loop.tables.compact(table)
        context.log.info(f"compacted {table.name}")


@dg.job(description="Compact the tables, so that reads do not slow as commits grow.")
def maintain_job() -> None:
    """Compact every table."""
    compact_tables()
