"""The monitoring group: how right the answers are as served, and what drifts."""

from datetime import datetime, timedelta
from math import isnan
from typing import Any, Final

import dagster as dg
import polars as pl

from assets.accuracy_plot import plot_accuracy
from assets.accuracy_words import describe_accuracy, describe_response, slice_table
from assets.resources import Loop
from assets.review import labels, predictions
from labeling import tables as t
from training.judging.production import (
    ServedAccuracy,
    add_chances,
    estimate_accuracy,
    follow_accuracy,
    measure_drift,
    slice_accuracy,
)
from training.judging.served import CLOCKS_DIFFER, Window, count_response, served_answers

_STATED: Final = timedelta(days=28)
"""The messages whose accuracy is stated: those of the last four weeks."""
_FOLLOWED: Final = timedelta(days=182)
"""How far back the picture goes."""
_LATELY: Final = timedelta(days=7)


@dg.asset(group_name="monitoring", deps=[labels, predictions])
def production_accuracy(loop: Loop) -> dg.MaterializeResult:
    """Accuracy of the answers as served, from the part of the audit lot that is kept for this."""
    now = loop.now()
    followed = Window(now - _FOLLOWED, now)
    said, settled, about, answers = _read_since(loop, followed.since)
    metadata: dict[str, Any] = {"messages": f"of the {_STATED.days} days before {now:%Y-%m-%d %H:%M} UTC"}
    for task in loop.settings.taxonomy.task_names:
        served = served_answers(said, settled, about, task=task, window=followed)
        told = add_chances(served)
        stated = Window(now - _STATED, now).holds("occurred_at")
        found, slices = estimate_accuracy(told.filter(stated)), slice_accuracy(told.filter(stated))
        metadata[task] = describe_accuracy(found)
        if isinstance(found, ServedAccuracy):
            metadata[f"{task}_accuracy"] = found.estimate.value
        response = count_response(served.filter(stated), answers, task=task)
        uncounted = served.filter(stated).height - told.filter(stated).height
        metadata[f"{task}_response"] = describe_response(response, uncounted=uncounted)
        metadata[f"{task}_slices"] = dg.MetadataValue.md(slice_table(slices))
        metadata[f"{task}_plot"] = dg.MetadataValue.md(plot_accuracy(follow_accuracy(told), slices, task))
    return dg.MaterializeResult(metadata=metadata)


def _read_since(loop: Loop, since: datetime) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return predictions, labels settled from reviews, interactions and reviews of messages that came after ``since``.

    All labels are called as the taxonomy calls them now.
    """
    early, translate = since - CLOCKS_DIFFER, loop.settings.taxonomy.translate
    reviewed = pl.col("source") == "review"
    said = ["interaction_id", "task", "label", "confidence", "margin", "model_version", "shown", "predicted_at"]
    about = ["interaction_id", "conversation_id", "occurred_at", "channel", "segment", "lot", "part"]
    return (
        translate(loop.tables.read(t.PREDICTIONS, columns=said, where=pl.col("predicted_at") >= early)),
        translate(loop.tables.read(t.LABELS, where=reviewed & (pl.col("settled_at") >= early))),
        loop.tables.read(t.INTERACTIONS, columns=about, where=pl.col("occurred_at") >= since),
        translate(loop.tables.read(t.REVIEWS, where=pl.col("answered_at") >= early)),
    )


@dg.asset(group_name="monitoring", deps=[predictions])
def drift(loop: Loop) -> dg.MaterializeResult:
    """How far what the models said in the last seven days differs from before."""
    times = loop.tables.read(t.INTERACTIONS, columns=["interaction_id", "occurred_at"])
    told = loop.settings.taxonomy.translate(loop.tables.read(t.PREDICTIONS))
    said = told.sort("predicted_at").unique(["interaction_id", "task"], keep="first")
    dated = said.join(times, on="interaction_id")
    recent = pl.col("occurred_at") > loop.now() - _LATELY
    metadata: dict[str, Any] = {}
    for task in loop.settings.taxonomy.task_names:
        found = measure_drift(dated.filter(~recent), dated.filter(recent), task=task)
        metadata[f"{task}_distance"] = found.distance
        if not isnan(found.p_value):
            metadata[f"{task}_p_value"] = found.p_value
    return dg.MaterializeResult(metadata=metadata)
