"""Ask people for the cases that a judging lacked."""

from collections.abc import Sequence

import polars as pl

from assets.resources import Loop
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
    lacking = pl.concat(
        [list_lacking([gate for gate in gates if gate.name.startswith(f"{task}.")], task=task) for task in tasks]
    )
    asked = loop.tables.read(t.GATE_REQUESTS)
    loop.tables.merge(t.GATE_REQUESTS, update_requests(asked, lacking, tasks=tasks, now=loop.now()))
    return loop.tables.read(t.GATE_REQUESTS, columns=["request_id"], where=pl.col("is_open")).height
