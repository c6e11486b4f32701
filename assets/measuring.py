"""What a judging measures beside answers to the test: behaviour, speed, size, personal data in labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from assets.panel import Panel, Reading, take_scores
from assets.resources import Loop
from labeling import tables as t
from training.judging.behaviour import check_behaviour, perturb_texts
from training.judging.cost import measure_seconds
from training.judging.evidence import FailureCount
from training.judging.personal_data import find_personal_data
from training.scoring import Scores

_COMPARED: Final = ("challenger", "champion")
_PERTURBED: Final = 30
_TIMED: Final = 24


@dataclass(frozen=True)
class Measured:
    """What was measured of a challenger and its champion.

    Attributes:
        seconds_per_text: of the challenger and the champion (None before a first one); None where no message was there
            to time them on.
        behaviour: by task and kind of test, how often each failed.
        personal_data: findings in the names of labels.
        new_labels: by task, labels that the challenger knows and the champion does not.
    """

    seconds_per_text: tuple[float, float | None] | None
    behaviour: Mapping[str, Mapping[str, FailureCount]]
    personal_data: int
    new_labels: Mapping[str, frozenset[str]]


def measure_panel(loop: Loop, panel: Panel, *, rng: np.random.Generator) -> Measured:
    """Ask challenger and champion what they say of changed messages, and time them on the newest messages.

    Args:
        loop: whose messages they are asked about; of the newest some are drawn.
        panel: the two.
        rng: the only source of chance.
    """
    newest = _read_newest(loop)
    labels = {task: panel.challenger.scorers[task].about.labels for task in panel.challenger.tasks}
    found = find_personal_data(
        {f"{task}.md": "\n".join(names) for task, names in labels.items()}, loop.settings.redaction
    )
    return Measured(
        _time(panel, newest["text"].to_list()[:_TIMED]),
        _measure_behaviour(panel, newest, rng),
        sum(one.count for one in found),
        {task: frozenset(names) - _known(panel, task) for task, names in labels.items()} if panel.champion else {},
    )


def _read_newest(loop: Loop) -> pl.DataFrame:
    texts = loop.tables.read(t.INTERACTIONS, columns=["interaction_id", "occurred_at", "text", "language"])
    return (
        texts.filter(pl.col("text").str.strip_chars() != "").sort("occurred_at", "interaction_id").tail(_PERTURBED * 5)
    )


def _known(panel: Panel, task: str) -> frozenset[str]:
    """Return the labels, as they are called today, that the champion may say."""
    if panel.champion is None or task not in panel.champion.scorers:
        return frozenset()
    former = panel.taxonomy.former(task)
    return frozenset(former.get(label, label) or label for label in panel.champion.scorers[task].about.labels)


def _time(panel: Panel, texts: Sequence[str]) -> tuple[float, float | None] | None:
    if not texts:
        return None
    taken = [measure_seconds(release.score, texts) for name, release in panel.releases.items() if name in _COMPARED]
    return taken[0], taken[1] if len(taken) > 1 else None


def _measure_behaviour(
    panel: Panel, messages: pl.DataFrame, rng: np.random.Generator
) -> dict[str, dict[str, FailureCount]]:
    """Ask both about the same changed messages, each text once for all tasks."""
    changed = perturb_texts(
        messages["text"].to_list(), rng=rng, languages=messages["language"].to_list(), most=_PERTURBED
    )
    texts = list(dict.fromkeys(text for one in changed for text in (*one.before, *one.after)))
    if not texts:
        return {}
    read = panel.read(texts, _COMPARED)
    place = {text: row for row, text in enumerate(texts)}
    found: dict[str, dict[str, FailureCount]] = {}
    for task in panel.challenger.tasks:
        order = panel.taxonomy.task(task).label_names if panel.taxonomy.task(task).ordered else ()
        tried = {
            who: check_behaviour(changed, _Looked(reading, task, place), order=order)
            for who, reading in read.items()
            if task in reading.scores
        }
        before = {one.kind: one.failed for one in tried.get("champion", ())}
        found[task] = {
            one.kind: FailureCount(one.tried, one.failed, before.get(one.kind))
            for one in tried["challenger"]
            if one.tried
        }
    return found


@dataclass(frozen=True)
class _Looked:
    """Answers with what was read before."""

    reading: Reading
    task: str
    place: Mapping[str, int]

    def __call__(self, texts: Sequence[str]) -> Scores:
        return take_scores(self.reading.scores[self.task], [self.place[text] for text in texts])
