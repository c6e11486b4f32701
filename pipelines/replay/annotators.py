"""The annotators of a replay: people with a stated confusion matrix each, answering the cases that they are given."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import numpy as np
from pydantic import Field

from labeling.config import Config
from labeling.taxonomy import Name, Task, Taxonomy
from labeling.vocabulary import CANNOT_TELL, NEEDED, NONE_OF_THESE, NOT_NEEDED
from pipelines.replay.chance import chance
from pipelines.replay.feed import Message
from pipelines.replay.stock import Share

_CUT: Final = 0.5
"""A recorded rating above this is positive, below its negative is negative (the cut of the VADER authors)."""
_LONGEST: Final = timedelta(hours=2)


class AnnotatorRates(Config):
    """One annotator.

    ``accuracy`` is, by task, the share of answers that are right. Of the wrong ones, ``near_misses`` name a label of
    the right one's domain, the others any other label. ``skips`` is the share of cases passed on unanswered,
    ``cannot_tell`` the share of answers that say so; ``seconds`` the mean time that a case takes.
    """

    name: Name
    accuracy: dict[str, Share]
    near_misses: Share = 0.75
    skips: Share = 0.01
    cannot_tell: Share = 0.01
    seconds: float = Field(default=9.0, gt=0)


@dataclass(frozen=True)
class Reading:
    """What one annotator made of one message; ``labels`` maps every task to an answer, None is a skip."""

    labels: Mapping[str, str] | None
    lead_seconds: float


class SimulatedAnnotator:
    """A person who errs as ``rates`` says.

    An answer hangs on the seed, the annotator and the message: asked twice, they answer the same.
    """

    def __init__(self, rates: AnnotatorRates, taxonomy: Taxonomy, *, seed: int) -> None:
        self.name = rates.name
        self.rates = rates
        self.taxonomy = taxonomy
        self._seed = seed
        self._confusions = {
            task.name: _confusion(task, rates) for task in taxonomy.tasks if task.name in rates.accuracy
        }

    def confusion(self, task: str) -> np.ndarray:
        """Return the confusion matrix of ``task``: rows are the truth (``Task.trainable``), columns the answers.

        Shape (k, k + 1), float64; the last column is "cannot tell"; every row sums to 1.
        """
        self.taxonomy.task(task)
        return self._confusions[task]

    def read(self, message: Message) -> Reading:
        """Return this annotator's answer to ``message``.

        A task with recorded ratings is answered as one of the people who rated it, drawn at random, did. A task whose
        truth is not known, or that this annotator's rates do not name, is answered "cannot tell".
        """
        rng = chance(self._seed, "reading", self.name, message.interaction_id)
        skips = rng.random() < self.rates.skips
        lead_seconds = round(float(rng.gamma(3.0, self.rates.seconds / 3.0)), 1)
        labels = {task.name: self._answer(message, task) for task in self.taxonomy.tasks}
        return Reading(None if skips else labels, lead_seconds)

    def _answer(self, message: Message, task: Task) -> str:
        rng = chance(self._seed, "answer", self.name, task.name, message.interaction_id)
        if ratings := message.ratings.get(task.name):
            return rating_label(ratings[int(rng.integers(len(ratings)))])
        truth = message.truth.get(task.name, CANNOT_TELL)
        if truth == CANNOT_TELL or task.name not in self._confusions:
            return CANNOT_TELL
        shares = self._confusions[task.name][task.trainable.index(truth)]
        return task.answers[int(rng.choice(len(shares), p=shares))]


def rating_label(rating: float) -> str:
    """Return the sentiment that a recorded rating in [-4, 4] stands for, cut at ±0.5."""
    return "positive" if rating > _CUT else "negative" if rating < -_CUT else "neutral"


def judge_handoff(label: str, needs_person: Container[str]) -> str:
    """Return the answer to "should a person take this over?" of someone who read a message as ``label``.

    A person is needed where no label describes it, and for the labels that ``needs_person`` holds. Whoever misreads a
    message misjudges this as well, so that these answers err as the others do.
    """
    if label == CANNOT_TELL:
        return CANNOT_TELL
    return NEEDED if label == NONE_OF_THESE or label in needs_person else NOT_NEEDED


def assign_annotators(
    interaction_id: str, annotators: Sequence[SimulatedAnnotator], *, overlap: int, seed: int
) -> tuple[SimulatedAnnotator, ...]:
    """Return who reads a case: ``overlap`` different people (all, where there are fewer), by the case alone."""
    order = chance(seed, "assignment", interaction_id).permutation(len(annotators))
    return tuple(annotators[int(place)] for place in order[:overlap])


def review_history(
    messages: Sequence[Message], annotators: Sequence[SimulatedAnnotator], *, seed: int
) -> list[dict[str, Any]]:
    """Return review events for ``messages``, as labelled before the loop was there: one person a message.

    Skips and "cannot tell" leave no event, because a labelled file holds labels only. Every answer was given at most
    two hours after its message.
    """
    events: list[dict[str, Any]] = []
    for message in messages:
        [annotator] = assign_annotators(message.interaction_id, annotators, overlap=1, seed=seed)
        delay = timedelta(seconds=int(chance(seed, "history", message.interaction_id).integers(1, _LONGEST.seconds)))
        reading = annotator.read(message)
        events += [
            {
                "review_id": f"history-{message.interaction_id}",
                "interaction_id": message.interaction_id,
                "annotator_id": annotator.name,
                "task": task,
                "label": label,
                "answered_at": (message.occurred_at + delay).isoformat(),
            }
            for task, label in (reading.labels or {}).items()
            if label != CANNOT_TELL
        ]
    return events


def _confusion(task: Task, rates: AnnotatorRates) -> np.ndarray:
    domains = {label.name: label.domain for label in task.labels}
    size = len(task.trainable)
    shares = np.zeros((size, size + 1))
    for place, truth in enumerate(task.trainable):
        others = np.arange(size) != place
        near = others & np.array([domains.get(name) == domains.get(truth) for name in task.trainable])
        far = others & ~near
        near_share = rates.near_misses if near.any() and far.any() else float(near.any())
        row = (near_share * near / max(near.sum(), 1)) + ((1 - near_share) * far / max(far.sum(), 1))
        shares[place, :size] = (1 - rates.accuracy[task.name]) * row
        shares[place, place] = rates.accuracy[task.name]
    shares[:, :size] *= 1 - rates.cannot_tell
    shares[:, size] = rates.cannot_tell
    return shares
