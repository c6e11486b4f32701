"""What becomes of a candidate intent: a reviewer accepts it as a label of the taxonomy, or dismisses it."""

from dataclasses import dataclass
from typing import Final

import polars as pl

from assets.emerging import OPEN, Candidate, read_candidates, write_candidates
from assets.resources import Loop
from labeling import tables as t
from labeling.desk.fetching import TICK, withdraw
from labeling.errors import ConfigError, DecisionRefused
from labeling.taxonomy import Label
from labeling.taxonomy_file import add_label
from labeling.vocabulary import NONE_OF_THESE

ACCEPTED: Final = "accepted"
DISMISSED: Final = "dismissed"


@dataclass(frozen=True)
class Accepted:
    """The taxonomy's ``version`` after accepting, how many examples were ``labelled`` and answers ``withdrawn``."""

    version: int
    labelled: int
    withdrawn: int


def accept_candidate(loop: Loop, candidate_id: str, *, label: Label, reviewer: str) -> Accepted:
    """Make an open candidate a label of the first task.

    The taxonomy gets the label, a version and a migration. The examples that the page shows get the reviewer's answer,
    who has read them; older answers that put the candidate's messages outside every label are withdrawn, because
    whoever gave them could not have given the new label, and a model would learn the opposite from them. Killed at any
    instant and called again, it goes on.

    Raises:
        DecisionRefused: there is no such open candidate.
        ConfigError: the label's name is taken or was given up.
    """
    found = _find(loop, candidate_id)
    task, path = loop.settings.taxonomy.tasks[0], loop.folder.configs / "taxonomy.yaml"
    version = loop.settings.taxonomy.version
    begun = loop.tables.read(t.CANDIDATE_INTENTS, where=pl.col("candidate_id") == candidate_id)["label"][0]
    if label.name not in task.label_names:
        written = add_label(path.read_text(encoding="utf-8"), task=task.name, label=label)
        _decide(loop, candidate_id, state=OPEN, label=label.name, reviewer=reviewer)
        fresh = path.with_suffix(".new")
        fresh.write_text(written, encoding="utf-8")
        fresh.replace(path)
        version += 1
    elif begun != label.name:
        raise ConfigError([f"taxonomy.yaml: {task.name} has a label {label.name} already: choose another name"])
    withdrawn = _withdraw(loop, task.name, candidate_id)
    labelled = _answer(loop, task.name, found, label=label.name, reviewer=reviewer)
    _decide(loop, candidate_id, state=ACCEPTED, label=label.name, reviewer=reviewer)
    write_candidates(loop, read_candidates(loop))
    return Accepted(version, labelled, withdrawn)


def dismiss_candidate(loop: Loop, candidate_id: str, *, reviewer: str) -> None:
    """Offer a candidate no more, nor what continues it.

    Raises:
        DecisionRefused: there is no such open candidate.
    """
    _find(loop, candidate_id)
    _decide(loop, candidate_id, state=DISMISSED, label=None, reviewer=reviewer)
    write_candidates(loop, read_candidates(loop))


def _find(loop: Loop, candidate_id: str) -> Candidate:
    waiting = {one.candidate_id: one for one in read_candidates(loop)}
    if candidate_id not in waiting:
        names = ", ".join(waiting) or "none"
        raise DecisionRefused(f"an open candidate is needed, found {candidate_id}; those that wait are: {names}")
    return waiting[candidate_id]


def _withdraw(loop: Loop, task: str, candidate_id: str) -> int:
    """Withdraw the answers that put the candidate's messages outside every label; return how many."""
    mine = (pl.col("candidate_id") == candidate_id) & pl.col("place").is_not_null()
    members = loop.tables.read(t.CANDIDATE_INTENTS, columns=["interaction_id"], where=mine)["interaction_id"]
    outside = (pl.col("task") == task) & (pl.col("label") == NONE_OF_THESE)
    given = loop.tables.read(t.REVIEWS, where=outside & pl.col("interaction_id").is_in(members.implode()))
    loop.tables.merge(t.REVIEWS, withdraw(given, pl.col("answered_at") + TICK))
    return given.height


def _answer(loop: Loop, task: str, found: Candidate, *, label: str, reviewer: str) -> int:
    """Store the reviewer's answer to each example that they were shown; return how many."""
    rows = [
        {
            "review_id": f"{found.candidate_id}:{name}",
            "interaction_id": name,
            "annotator_id": reviewer,
            "task": task,
            "label": label,
            "blind": False,
            "answered_at": loop.now(),
        }
        for name, _ in found.examples
    ]
    loop.tables.merge(t.REVIEWS, t.REVIEWS.frame(rows))
    return len(rows)


def _decide(loop: Loop, candidate_id: str, *, state: str, label: str | None, reviewer: str) -> None:
    rows = loop.tables.read(t.CANDIDATE_INTENTS, where=pl.col("candidate_id") == candidate_id)
    later = pl.max_horizontal(pl.lit(loop.now(), t.TIME), pl.col("changed_at") + TICK)
    decided = rows.with_columns(
        state=pl.lit(state), label=pl.lit(label, pl.String), decided_by=pl.lit(reviewer), changed_at=later
    )
    loop.tables.merge(t.CANDIDATE_INTENTS, decided)
