"""The monitoring group: how right the answers are as served, what drifts, what people ask that nobody expected."""

from datetime import timedelta
from math import isnan
from typing import Any, Final

import dagster as dg
import polars as pl

from assets.resources import Loop
from assets.review import features_of, labels, predictions
from labeling import tables as t
from labeling.selection.emerging import find_clusters
from labeling.vocabulary import NONE_OF_THESE
from training.judging.production import ServedAccuracy, estimate_served_accuracy, measure_drift

_LATELY: Final = timedelta(days=7)
_SMALLEST_CLUSTER: Final = 5


@dg.asset(group_name="monitoring", deps=[labels, predictions])
def production_accuracy(loop: Loop) -> dg.MaterializeResult:
    """Accuracy of the answers as served, from the part of the audit lot that is kept for this."""
    said, settled = loop.tables.read(t.PREDICTIONS), loop.tables.read(t.LABELS)
    drawn = loop.tables.read(t.INTERACTIONS, columns=["interaction_id", "part"])
    metadata: dict[str, Any] = {}
    for task in loop.settings.taxonomy.task_names:
        found = estimate_served_accuracy(said, settled, drawn, task=task)
        if isinstance(found, ServedAccuracy):
            metadata[task] = f"{found.accuracy:.3f} [{found.low:.3f}, {found.high:.3f}] of {found.cases} cases"
        else:
            metadata[task] = f"too few audit cases: {found.cases} of {found.needed}"
    return dg.MaterializeResult(metadata=metadata)


@dg.asset(group_name="monitoring", deps=[predictions])
def drift(loop: Loop) -> dg.MaterializeResult:
    """How far what the models said in the last seven days differs from before."""
    times = loop.tables.read(t.INTERACTIONS, columns=["interaction_id", "occurred_at"])
    said = loop.tables.read(t.PREDICTIONS).sort("predicted_at").unique(["interaction_id", "task"], keep="first")
    dated = said.join(times, on="interaction_id")
    recent = pl.col("occurred_at") > loop.now() - _LATELY
    metadata: dict[str, Any] = {}
    for task in loop.settings.taxonomy.task_names:
        found = measure_drift(dated.filter(~recent), dated.filter(recent), task=task)
        metadata[f"{task}_distance"] = found.distance
        if not isnan(found.p_value):
            metadata[f"{task}_p_value"] = found.p_value
    return dg.MaterializeResult(metadata=metadata)


@dg.asset(group_name="monitoring", deps=[labels, predictions])
def emerging_intents(loop: Loop) -> dg.MaterializeResult:
    """Messages outside every label, grouped: what the taxonomy may lack."""
    outside = pl.concat(
        [
            loop.tables.read(table, columns=["interaction_id"], where=pl.col("label") == NONE_OF_THESE)
            for table in (t.LABELS, t.PREDICTIONS)
        ]
    ).unique()
    texts = loop.tables.read(t.INTERACTIONS, columns=["interaction_id", "text"])
    found = texts.join(outside, on="interaction_id", how="semi").sort("interaction_id")
    vectors = features_of(loop, found["text"])
    clusters = find_clusters(vectors, smallest=_SMALLEST_CLUSTER)
    groups = [{"size": len(c.members), "most_typical": found["interaction_id"][c.members[0]]} for c in clusters]
    return dg.MaterializeResult(
        metadata={"outside": found.height, "groups": len(groups), "largest": dg.MetadataValue.json(groups[:10])}
    )
