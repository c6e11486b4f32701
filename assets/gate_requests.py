"""Ask people for the cases that a judging lacked."""

from collections.abc import Sequence

import polars as pl

from assets.resources import Loop
from assets.training import settled_labels
from labeling import tables as t
from training.judging.gates import GateResult
from training.judging.requests import list_lacking, update_requests


def request_cases(loop: Loop, gates: Sequence[GateResult], *, tasks: Sequence[str]) -> int:
    """Open a request for what the gates of each task lacked, close those that are met; return how many are open.

    Args:
        loop: whose GATE_REQUESTS are written.
        gates: the joined results, named ``<task>.<gate>``.
        tasks: the judged tasks.
    """
    lacking = pl.concat([_lacking(loop, gates, task) for task in tasks])
    asked = loop.tables.read(t.GATE_REQUESTS)
    loop.tables.merge(t.GATE_REQUESTS, update_requests(asked, lacking, tasks=tasks, now=loop.now()))
    return loop.tables.read(t.GATE_REQUESTS, columns=["request_id"], where=pl.col("is_open")).height


def _lacking(loop: Loop, gates: Sequence[GateResult], task: str) -> pl.DataFrame:
    return list_lacking(
        [gate for gate in gates if gate.name.startswith(f"{task}.")],
        settled_labels(loop, task, lot="audit", part="test")["label"].to_list(),
        task=task,
        labels=loop.settings.taxonomy.task(task).label_names,
        policy=loop.settings.gates,
    )
