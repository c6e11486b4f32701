"""Which interactions serve a gate that lacked cases, and how many it still lacks."""

from typing import Final

import polars as pl

SLICES: Final = ("channel", "language", "segment")
"""The columns of INTERACTIONS that a request may name; ``label`` stands for what the champion predicts."""


def match_requests(requests: pl.DataFrame, interactions: pl.DataFrame, predictions: pl.DataFrame) -> pl.DataFrame:
    """Return which interactions serve which request.

    A request on the sealed test (slice ``part``) matches nothing: the test grows from the audit lot alone, whose cases
    are all sent, and open cases cannot join it. The requests that do match steer what is learnt and looked into.

    Args:
        requests: open rows of GATE_REQUESTS.
        interactions: ``interaction_id`` and those of ``SLICES`` that a request names.
        predictions: ``interaction_id, task, label`` of the champion.

    Returns:
        ``request_id, interaction_id``.
    """
    asked = requests.select("request_id", "task", "slice", "value")
    by_label = predictions.join(
        asked.filter(pl.col("slice") == "label"), left_on=["task", "label"], right_on=["task", "value"]
    )
    by_slice = [
        interactions.select("interaction_id", value=name).join(asked.filter(pl.col("slice") == name), on="value")
        for name in SLICES
        if name in interactions.columns
    ]
    found = pl.concat([frame.select("request_id", "interaction_id") for frame in (by_label, *by_slice)])
    return found.join(interactions, on="interaction_id", how="semi").unique()


def count_needed(requests: pl.DataFrame, served: pl.DataFrame) -> pl.DataFrame:
    """Return ``request_id, needed``: how many cases each request still lacks, of those that lack any, oldest first.

    Args:
        requests: open rows of GATE_REQUESTS.
        served: ``request_id`` of each case that was picked for a request since it was asked.
    """
    had = served.group_by("request_id").agg(had=pl.len().cast(pl.Int64))
    left = requests.join(had, on="request_id", how="left").with_columns(
        needed=pl.col("cases_needed") - pl.col("had").fill_null(0)
    )
    return left.filter(pl.col("needed") > 0).sort("asked_at", "request_id").select("request_id", "needed")
