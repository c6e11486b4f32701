"""The review pool: what models, agents and outcomes say of each interaction, joined for selection to choose from."""

import polars as pl

from labeling import tables as t
from labeling.delta import Tables
from training.features import digest_text


def review_pool(tables: Tables, *, key: bytes, champion: str | None) -> pl.DataFrame:
    """Return one row per interaction that no person was asked about yet.

    Args:
        tables: the loop's tables.
        key: the home's key; names texts by keyed digest.
        champion: the version whose predictions rank the pool; None before the first one.

    Returns:
        Columns ``interaction_id, lot, text, text_digest, label, confidence, margin, corrected, escalated``. ``label``,
        ``confidence`` and ``margin`` are those of the task with the smallest margin, null where there is no champion.
    """
    asked = pl.concat(
        [
            tables.read(t.REVIEW_QUEUE, columns=["interaction_id"]),
            tables.read(t.LABELS, columns=["interaction_id"], where=pl.col("source") == "review"),
        ]
    ).unique()
    waiting = tables.read(t.INTERACTIONS, columns=["interaction_id", "conversation_id", "lot", "text"])
    pool = waiting.join(asked, on="interaction_id", how="anti")
    doubt = _least_sure(tables, champion)
    corrected = tables.read(t.CORRECTIONS, columns=["interaction_id"]).unique().with_columns(corrected=True)
    escalated = tables.read(t.ESCALATIONS, columns=["interaction_id"]).unique().with_columns(escalated=True)
    return (
        pool.join(doubt, on="interaction_id", how="left")
        .join(corrected, on="interaction_id", how="left")
        .join(escalated, on="interaction_id", how="left")
        .with_columns(
            pl.col("corrected", "escalated").fill_null(value=False),
            text_digest=pl.Series([digest_text(key, text) for text in pool["text"]], dtype=pl.String),
        )
        .select(
            "interaction_id", "lot", "text", "text_digest", "label", "confidence", "margin", "corrected", "escalated"
        )
        .sort("interaction_id")
    )


def _least_sure(tables: Tables, champion: str | None) -> pl.DataFrame:
    """Return, for each interaction, the prediction of the task that the champion is least sure of."""
    columns = ["interaction_id", "label", "confidence", "margin"]
    said = tables.read(t.PREDICTIONS, columns=[*columns, "task"], where=pl.col("model_version") == (champion or ""))
    return said.sort("margin", "task").unique("interaction_id", keep="first", maintain_order=True).select(columns)
