"""The handoff policy of a release, fitted to what its models say of the audit lot's calibrate part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from assets.resources import Loop
from assets.training import settled_labels
from labeling import tables as t
from labeling.vocabulary import HANDOFF, NEEDED
from serving.conversation import CUSTOMER, Conversation, Turn
from serving.handoff.cases import Cases
from serving.handoff.config import HandoffConfig
from serving.handoff.fitting import Outcomes, fit_handoff
from serving.reading import Reader

if TYPE_CHECKING:
    from serving.handoff.policy import HandoffPolicy

_CHANCE: Final = 20_261_123
"""Seeds which cases shape the risk, so that the same models and cases make the same policy, and so the same release."""


@dataclass(frozen=True)
class ReviewedCases:
    """Cases of the audit lot with people's labels, as the models of a release see them."""

    interaction_ids: Sequence[str]
    cases: Cases
    outcomes: Outcomes


def fit_release_handoff(loop: Loop, folders: Mapping[str, Path]) -> "HandoffPolicy":
    """Fit the handoff policy of ``handoff.yaml`` to the models in ``folders``, by task.

    As a release decides: by the confidences in the models' own labels, whether the answers in today's are right.

    Raises:
        TrainingError: a task of handoff.yaml has no model.
    """
    from training.scoring import Scorer

    reader = Reader({task: Scorer.load(folder) for task, folder in folders.items()}, loop.settings.taxonomy)
    config = loop.settings.handoff
    found = read_reviewed(loop, reader, config, tuple(folders), part="calibrate")
    return fit_handoff(found.cases, found.outcomes, config, rng=np.random.default_rng(_CHANCE))


def read_reviewed(
    loop: Loop, reader: Reader, config: HandoffConfig, answered: Sequence[str], *, part: str
) -> ReviewedCases:
    """Return the cases of one part of the audit lot whose every task that must be right has a label.

    Args:
        loop: the home.
        reader: the models.
        config: names the tasks; where it names none, the first of ``answered``.
        answered: the tasks that the models answer.
        part: calibrate or estimate; never test, which is sealed.
    """
    tasks = [task for task in config.tasks or answered[:1] if task in answered]
    labels = {task: settled_labels(loop, task, lot="audit", part=part) for task in tasks}
    known = [set(found["interaction_id"]) for found in labels.values()]
    ids = sorted(set.intersection(*known)) if known else []
    conversations = read_conversations(loop, ids)
    reading = reader.read(conversations, tasks=tasks, sentiment=config.sentiment)
    truth = {task: _in_order(found, ids) for task, found in labels.items()}
    return ReviewedCases(ids, reading.cases, Outcomes(truth, _needed(loop, ids)))


def read_conversations(loop: Loop, interaction_ids: Sequence[str]) -> list[Conversation]:
    """Return, for each interaction, its conversation up to it: what the customer had said by then."""
    columns = ["interaction_id", "conversation_id", "turn", "occurred_at", "channel", "segment", "language", "text"]
    asked = pl.col("interaction_id").is_in(list(interaction_ids))
    places = loop.tables.read(t.INTERACTIONS, columns=["interaction_id", "conversation_id"], where=asked)
    mine = pl.col("conversation_id").is_in(places["conversation_id"].unique().implode())
    rows = loop.tables.read(t.INTERACTIONS, columns=columns, where=mine).sort("turn", "occurred_at", "interaction_id")
    found: dict[str, Conversation] = {}
    wanted = set(interaction_ids)
    for _, part in rows.group_by("conversation_id", maintain_order=True):
        turns: list[Turn] = []
        for row in part.iter_rows(named=True):
            turns.append(Turn(CUSTOMER, row["text"] or "", row["occurred_at"]))
            if row["interaction_id"] in wanted:
                about = {name: row[name] for name in ("channel", "segment", "language")}
                found[row["interaction_id"]] = Conversation(tuple(turns), **about)
    return [found[name] for name in interaction_ids]


def _in_order(labels: pl.DataFrame, ids: Sequence[str]) -> list[str]:
    known = dict(labels.select("interaction_id", "label").iter_rows())
    return [known[name] for name in ids]


def _needed(loop: Loop, ids: Sequence[str]) -> np.ndarray:
    """Return of which interactions most reviewers said that a person was needed, (n,) bool."""
    asked = (pl.col("task") == HANDOFF) & pl.col("interaction_id").is_in(list(ids)) & pl.col("label").is_not_null()
    said = loop.tables.read(t.REVIEWS, columns=["interaction_id", "label"], where=asked)
    shares = said.group_by("interaction_id").agg((pl.col("label") == NEEDED).mean().alias("share"))
    needed = dict(shares.iter_rows())
    return np.array([needed.get(name, 0.0) >= 0.5 for name in ids], dtype=bool)
