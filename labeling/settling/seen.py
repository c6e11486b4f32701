"""What agents were shown and what they did about it: one row a message and task of which a model spoke."""

import polars as pl

from labeling.settling.consensus import PAIR
from labeling.vocabulary import CANNOT_TELL


def gather_seen(
    *, interactions: pl.DataFrame, predictions: pl.DataFrame, corrections: pl.DataFrame, escalations: pl.DataFrame
) -> pl.DataFrame:
    """Join what the model said, whether anyone opened the message, and what was corrected.

    A message was opened where an agent handled it, where its conversation escalated, or where it was corrected. Only
    the first two are known apart from what the agent thought of the answer (``on_record``).

    Args:
        interactions: INTERACTIONS table; corrections of others wait.
        predictions: PREDICTIONS table. What was shown counts; of several the first, and where nothing was shown
            (the model stepped aside) what was said first.
        corrections: CORRECTIONS table; of one interaction and task the newest counts.
        escalations: ESCALATIONS table.

    Returns:
        ``interaction_id, task, lot, shown`` (what the model said, null where unknown), ``sureness`` (its confidence in
        [0, 1]), ``was_shown``, ``on_record``, ``given`` (the correction, null for silence), ``agent_id``,
        ``correction_id``; sorted. Messages that nobody opened are not among them.
    """
    said = (
        predictions.sort(pl.col("shown").fill_null(value=False).not_(), "predicted_at", "model_version")
        .unique(PAIR, keep="first", maintain_order=True)
        .select(*PAIR, said="label", sureness="confidence", was_shown=pl.col("shown").fill_null(value=False))
    )
    about = interactions.select(
        "interaction_id",
        "lot",
        on_record=(pl.col("handled_by") == "agent").fill_null(value=False)
        | pl.col("conversation_id").is_in(escalations["conversation_id"].drop_nulls().implode()).fill_null(value=False)
        | pl.col("interaction_id").is_in(escalations["interaction_id"].drop_nulls().implode()),
    )
    newest = newest_corrections(corrections).select(*PAIR, "agent_id", "correction_id", "previous_label", given="label")
    rows = said.join(newest, on=PAIR, how="full", coalesce=True).join(about, on="interaction_id")
    previous = pl.coalesce("previous_label", "said")
    known = rows.with_columns(
        shown=previous,
        sureness=pl.when(pl.col("said") == previous).then("sureness"),
        was_shown=pl.col("was_shown").fill_null(value=False),
    )
    opened = known.filter(pl.col("on_record") | pl.col("given").is_not_null())
    columns = ("lot", "shown", "sureness", "was_shown", "on_record", "given", "agent_id", "correction_id")
    return opened.select(*PAIR, *columns).sort(PAIR)


def newest_corrections(corrections: pl.DataFrame) -> pl.DataFrame:
    """Return the newest correction of each interaction and task."""
    return (
        corrections.filter(pl.col("label").is_not_null() & (pl.col("label") != CANNOT_TELL))
        .sort("corrected_at", "correction_id")
        .unique(PAIR, keep="last", maintain_order=True)
        .sort(PAIR)
    )
