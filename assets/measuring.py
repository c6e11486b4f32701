"""What a judging measures beside answers to the test: behaviour, speed, new labels; and what it asks for that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np
import polars as pl

from assets.panel import Interview, Panel
from assets.resources import Loop
from labeling import tables as t
from labeling.taxonomy import Taxonomy
from training.judging.behaviour import Perturbed, check_behaviour, perturb_texts
from training.judging.evidence import FailureCount
from training.scoring import Scores

_PERTURBED: Final = 30
_TIMED: Final = 24
_RECENT: Final = timedelta(days=28)
_MOST_READ: Final = 400
"""So many of the newest messages stand for next week's."""


@dataclass(frozen=True)
class Questions:
    """What challenger and champion are asked beside the test.

    Attributes:
        changed: messages as they were and as they are changed.
        traffic: ``occurred_at, text`` of messages that stand for next week's; each for ``scale`` messages.
        timed: messages that they are timed on.
    """

    changed: tuple[Perturbed, ...]
    traffic: pl.DataFrame
    scale: float
    timed: tuple[str, ...]

    @property
    def texts(self) -> list[str]:
        """Every text of them but the timed ones."""
        return [text for one in self.changed for text in (*one.before, *one.after)] + self.traffic["text"].to_list()


def draw_questions(loop: Loop, *, rng: np.random.Generator) -> Questions:
    """Draw what is asked from the newest messages; ``rng`` is the only source of chance."""
    columns = ["interaction_id", "occurred_at", "text", "language"]
    held = loop.tables.read(t.INTERACTIONS, columns=columns).sort("occurred_at", "interaction_id")
    newest = held.filter(pl.col("text").str.strip_chars() != "").tail(_PERTURBED * 5)
    texts = newest["text"].to_list()
    changed = perturb_texts(texts, rng=rng, languages=newest["language"].to_list(), most=_PERTURBED)
    recent = held.filter(pl.col("occurred_at") > loop.now() - _RECENT).select("occurred_at", "text")
    drawn = recent.gather_every(max(1, -(-recent.height // _MOST_READ)))
    return Questions(changed, drawn, recent.height / max(1, drawn.height), tuple(texts[:_TIMED]))


@dataclass(frozen=True)
class Measured:
    """What was measured of a challenger and its champion.

    Attributes:
        seconds_per_text: of the challenger and the champion (None before a first one); None where no message was there
            to time them on.
        behaviour: by task and kind of test, how often each failed.
        new_labels: by task, labels that the challenger knows and the champion does not.
    """

    seconds_per_text: tuple[float, float | None] | None
    behaviour: Mapping[str, Mapping[str, FailureCount]]
    new_labels: Mapping[str, frozenset[str]]


def measure_panel(loop: Loop, panel: Panel, questions: Questions) -> Measured:
    """Return what the interviews tell of challenger and champion."""
    taxonomy = loop.settings.taxonomy
    mine, theirs = panel.interviews["challenger"], panel.interviews.get("champion")
    labels = {task: model.labels for task, model in mine.models.items()}
    before = theirs.seconds_per_text if theirs else None
    return Measured(
        None if mine.seconds_per_text is None else (mine.seconds_per_text, before),
        {task: _count_failures(panel, questions.changed, task, taxonomy) for task in labels},
        {task: frozenset(names) - _known(theirs, task, taxonomy) for task, names in labels.items()} if theirs else {},
    )


def _known(champion: Interview, task: str, taxonomy: Taxonomy) -> frozenset[str]:
    """Return the labels, as they are called today, that the champion may say."""
    former, model = taxonomy.former(task), champion.models.get(task)
    return frozenset(former.get(label, label) or label for label in model.labels) if model else frozenset()


def _count_failures(
    panel: Panel, changed: Sequence[Perturbed], task: str, taxonomy: Taxonomy
) -> dict[str, FailureCount]:
    """Return by kind of test how often challenger and champion answer the changed messages otherwise."""
    if not any(one.rows for one in changed):
        return {}
    order = taxonomy.task(task).label_names if taxonomy.task(task).ordered else ()
    tried = {
        who: check_behaviour(changed, _Looked(interview, task), order=order)
        for who, interview in panel.interviews.items()
        if who != "reference" and task in interview.models
    }
    before = {one.kind: one.failed for one in tried.get("champion", ())}
    counted = [one for one in tried["challenger"] if one.tried]
    return {one.kind: FailureCount(one.tried, one.failed, before.get(one.kind)) for one in counted}


@dataclass(frozen=True)
class _Looked:
    """Answers with what was said before."""

    interview: Interview
    task: str

    def __call__(self, texts: Sequence[str]) -> Scores:
        return self.interview.take(texts).scores[self.task]
