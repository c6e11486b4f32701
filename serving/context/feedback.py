"""What agents who took over say of the context package, and what it comes to by intent."""

from datetime import datetime
from typing import Any, Final

import polars as pl
from pydantic import Field

from labeling import tables as t
from labeling.config import Config
from labeling.delta import Tables
from labeling.taxonomy import Taxonomy
from labeling.vocabulary import NOTHING, PACKAGE_PARTS, Helped, PackagePart

UNKNOWN: Final = "unknown"
"""Stands for the intent of a conversation of which nobody has said what it was about."""


class ContextFeedback(Config):
    """One agent's word on one package.

    Attributes:
        feedback_id: names it; a second arrival changes nothing unless it is newer.
        interaction_id: the message that waited when the agent took over.
        agent_id: who says so, None where the helpdesk does not tell.
        given_at: when (with a zone).
        helped: what the AI did for the agent up to there.
        missing: the parts of the package that were missing or wrong; empty where none was.
        note: anything else, redacted before it is stored.
    """

    feedback_id: str = Field(min_length=1, max_length=200)
    interaction_id: str = Field(min_length=1, max_length=200)
    agent_id: str | None = Field(default=None, max_length=200)
    given_at: datetime
    helped: Helped
    missing: frozenset[PackagePart] = frozenset()
    note: str | None = Field(default=None, max_length=2000)

    def rows(self) -> list[dict[str, Any]]:
        """Return what a source of the table ``context_feedback`` holds of it, as JSON: one row a missing part."""
        said = self.model_dump(mode="json", exclude={"missing"})
        return [said | {"missing": part} for part in sorted(self.missing) or [NOTHING]]


def report_feedback(tables: Tables, *, taxonomy: Taxonomy) -> pl.DataFrame:
    """Count by intent what agents say of the packages, the intent with the most feedback first.

    The intent is what the agent resolved the escalation as; where that is unknown, what people settled the message to,
    and at last what the release had answered.

    Returns:
        ``intent``, ``feedback`` (how many packages), ``helped`` and ``hindered`` (how many of them), and for each of
        PACKAGE_PARTS ``missing_<part>`` (in how many it was missing).
    """
    said = tables.read(t.CONTEXT_FEEDBACK)
    about = said.select("interaction_id").unique()
    intents = _intents(tables, about["interaction_id"], taxonomy)
    named = said.join(intents, on="interaction_id", how="left").with_columns(pl.col("intent").fill_null(UNKNOWN))

    def packages(condition: pl.Expr) -> pl.Expr:
        return pl.col("feedback_id").filter(condition).n_unique()

    return (
        named.group_by("intent")
        .agg(
            packages(pl.lit(value=True)).alias("feedback"),
            packages(pl.col("helped") == "helped").alias("helped"),
            packages(pl.col("helped") == "hindered").alias("hindered"),
            *(packages(pl.col("missing") == part).alias(f"missing_{part}") for part in PACKAGE_PARTS),
        )
        .sort("feedback", "intent", descending=[True, False])
    )


def _intents(tables: Tables, names: pl.Series, taxonomy: Taxonomy) -> pl.DataFrame:
    """Return ``interaction_id, intent`` of those of ``names`` of which it is known, as it is called now."""
    topic = taxonomy.tasks[0].name
    asked = pl.col("interaction_id").is_in(names.implode())
    resolved = pl.col("resolved_intent").is_not_null()
    ended = tables.read(t.ESCALATIONS, where=asked & resolved).sort("closed_at", nulls_last=False)
    mine = asked & (pl.col("task") == topic)
    settled = tables.read(t.LABELS, columns=["interaction_id", "task", "label"], where=mine)
    shown = tables.read(t.PREDICTIONS, where=mine & pl.col("shown")).sort("predicted_at")
    columns = ["interaction_id", "label"]
    found = pl.concat(
        [
            shown.select(columns),
            settled.select(columns),
            ended.select("interaction_id", label="resolved_intent"),
        ]
    ).unique("interaction_id", keep="last", maintain_order=True)
    return taxonomy.translate(found.with_columns(task=pl.lit(topic))).select("interaction_id", intent="label")
