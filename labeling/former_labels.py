"""Which stored labels the taxonomy has changed since they were settled."""

from typing import Final

import polars as pl

from labeling.taxonomy import Taxonomy

UNKNOWN: Final = "unknown"
"""What stands for the change of a label that is neither in the taxonomy nor known to a migration."""


def count_former(labels: pl.DataFrame, taxonomy: Taxonomy) -> pl.DataFrame:
    """Count the labels that are called otherwise now, or nothing any more.

    Args:
        labels: columns ``task`` and ``label``, of any version; rows of tasks that the taxonomy lacks are left out.
        taxonomy: today's.

    Returns:
        ``task, change, was, now, labels``, the most first: ``change`` is rename, merge, retire or unknown, ``now`` what
        the label is called today (null where nothing took its place), ``labels`` how many rows hold it.
    """
    counts = (
        labels.filter(pl.col("label").is_not_null() & pl.col("task").is_in(taxonomy.task_names))
        .group_by("task", was="label")
        .agg(labels=pl.len())
        .sort("labels", "task", "was", descending=[True, False, False])
    )
    schema = {"task": pl.String, "change": pl.String, "was": pl.String, "now": pl.String, "labels": pl.UInt32}
    rows = [
        (task, _changed(taxonomy, task, was), was, taxonomy.current(task, was), count)
        for task, was, count in counts.iter_rows()
        if taxonomy.current(task, was) != was
    ]
    return pl.DataFrame(rows, schema=schema, orient="row")


def _changed(taxonomy: Taxonomy, task: str, was: str) -> str:
    """Return what the migration that ``was`` went with did to it."""
    for migration in taxonomy.migrations:
        for old, _, place in migration.tasks[task].moves() if task in migration.tasks else ():
            if old == was:
                return str(place[0])
    return UNKNOWN
