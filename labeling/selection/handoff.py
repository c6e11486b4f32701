"""Handoffs that failed, told by how the escalation ended."""

from typing import Final

import polars as pl

LATE: Final = 1.0
"""A person was needed, and came by the customer's or an agent's doing after the AI had answered."""
DISAPPOINTED: Final = 0.75
"""After an AI answer the customer gave 1 or 2 of 5, or came back."""
FOR_NOTHING: Final = 0.5
"""The model stepped aside, and the person who took over was not needed."""

_LOW_CSAT: Final = 2


def measure_handoff_failures(escalations: pl.DataFrame, interactions: pl.DataFrame) -> pl.DataFrame:
    """Return how badly the handoff of each escalated interaction failed.

    What is not known of an outcome (null) tells of no failure.

    Args:
        escalations: ``interaction_id, trigger, needed, csat, reopened`` of ESCALATIONS.
        interactions: ``interaction_id, handled_by`` of INTERACTIONS.

    Returns:
        ``interaction_id, handoff``: the worst failure of each interaction that has one (LATE, DISAPPOINTED,
        FOR_NOTHING).
    """
    stepped_aside = pl.col("trigger") == "handoff"
    answered = ~stepped_aside & (pl.col("handled_by") == "ai")
    unhappy = (pl.col("csat") <= _LOW_CSAT).fill_null(value=False) | pl.col("reopened").fill_null(value=False)
    worst = (
        pl.when(answered & pl.col("needed"))
        .then(LATE)
        .when(answered & unhappy)
        .then(DISAPPOINTED)
        .when(stepped_aside & ~pl.col("needed"))
        .then(FOR_NOTHING)
    )
    told = escalations.join(interactions, on="interaction_id").select("interaction_id", handoff=worst)
    return told.drop_nulls().group_by("interaction_id").agg(pl.col("handoff").max())
