"""What a gate lacked cases of, as requests: opened where it could not decide, closed when a later judging can.

Requests name slices (a label of the task, a language, a channel, a segment) and the sealed test as a whole. The test
grows from the audit lot alone, whose cases are all sent and sent first; a request on it tells people what the gate
waits for. Requests on slices also steer what is picked from the open lot, to train on and to look into: such cases
never join the test.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from labeling.digests import digest
from labeling.tables import GATE_REQUESTS, TIME
from training.judging.gates import GateResult

WHOLE_TEST: Final = ("part", "test")
"""The slice and value of a request on the sealed test as a whole."""

_KEY: Final = ["task", "slice", "value"]
_UNTIMED: Final = [column for column in GATE_REQUESTS.schema if column != "changed_at"]


def list_lacking(gates: Iterable[GateResult], *, task: str) -> pl.DataFrame:
    """Return what the undecided gates of one task lack.

    A gate about a slice lacks cases of that slice; the others lack cases of the test as a whole, as many as the gate
    that lacks most. What lacks no test cases (answers to disagreements, a check that did not run) is no request.

    Args:
        gates: the results of this task.
        task: the task.

    Returns:
        ``task, slice, value, cases_needed`` (>= 1), one row a slice.
    """
    lacking = [
        (task, *(gate.slice or WHOLE_TEST), gate.lacking)
        for gate in gates
        if gate.verdict == "undecided" and gate.lacking
    ]
    schema = {"task": pl.String, "slice": pl.String, "value": pl.String, "cases_needed": pl.Int64}
    found = pl.DataFrame(lacking, schema=schema, orient="row")
    return found.group_by(_KEY, maintain_order=True).agg(pl.col("cases_needed").max())


def update_requests(
    requests: pl.DataFrame, lacking: pl.DataFrame, *, tasks: Sequence[str], now: datetime
) -> pl.DataFrame:
    """Return the rows of GATE_REQUESTS that a judging changes.

    What is lacking and not asked for yet is asked for, anew where it was closed; what is asked for and no longer
    lacking is closed. A request that stands keeps its time and its count, so that what served it counts.

    Args:
        requests: GATE_REQUESTS table.
        lacking: what the gates lack now (``list_lacking`` of every judged task).
        tasks: the judged tasks; requests of others stand.
        now: when it was judged.

    Returns:
        GATE_REQUESTS rows to merge, each newer than the stored one, even where the clock stood still.
    """
    stored = requests.select("request_id", stored_at="changed_at")
    standing = requests.filter(pl.col("is_open"), pl.col("task").is_in(list(tasks)))
    opened = lacking.join(standing, on=_KEY, how="anti").with_columns(
        request_id=pl.struct(_KEY).map_elements(_name, return_dtype=pl.String),
        asked_at=pl.lit(now),
        is_open=pl.lit(value=True),
    )
    closed = standing.join(lacking, on=_KEY, how="anti").with_columns(is_open=pl.lit(value=False))
    changed = pl.concat([frame.select(_UNTIMED).cast({"asked_at": TIME}) for frame in (opened, closed)])
    newer = pl.max_horizontal(pl.lit(now, TIME), pl.col("stored_at") + timedelta(microseconds=1))
    return (
        changed.join(stored, on="request_id", how="left")
        .with_columns(changed_at=newer)
        .select(list(GATE_REQUESTS.schema))
        .cast(pl.Schema(GATE_REQUESTS.schema))
    )


def _name(asked: dict[str, str]) -> str:
    return f"request-{digest([asked[part] for part in _KEY])[:20]}"
