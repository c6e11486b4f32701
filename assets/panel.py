"""The releases that are held against each other, and what each said of the same texts.

They are loaded one after the other, asked everything at once and let go, so that judging takes the memory of two.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from assets.resources import Loop
from labeling.taxonomy import Taxonomy
from serving.release import Release
from training.judging.answers import MODELS
from training.judging.cost import measure_megabytes, measure_seconds
from training.registry.registry import RELEASE, ModelRegistry
from training.registry.standing import Standing
from training.scoring import Scores

COMPARED: Final = ("challenger", "champion")


@dataclass(frozen=True)
class Reading:
    """What one release says of n texts: ``scores`` by task in today's labels; ``handoff`` (n,) if it steps aside."""

    scores: Mapping[str, Scores]
    handoff: np.ndarray

    def take(self, rows: Sequence[int]) -> "Reading":
        """Return what it says of ``rows``, in their order."""
        return Reading({task: _take(one, rows) for task, one in self.scores.items()}, self.handoff[list(rows)])


@dataclass(frozen=True)
class Model:
    """One model of a release: its ``labels`` (its own), the set that it learnt from, and the size of its files."""

    labels: tuple[str, ...]
    training_set_id: str
    megabytes: float


@dataclass(frozen=True)
class Interview:
    """What one release said of every text that it was asked, and what it is.

    ``place`` is the row of each text in ``reading``; ``seconds_per_text`` is None where it was not timed.
    """

    reading: Reading
    place: Mapping[str, int]
    models: Mapping[str, Model]
    seconds_per_text: float | None

    def take(self, texts: Sequence[str]) -> Reading:
        """Return what it said of ``texts``, all of which it was asked."""
        return self.reading.take([self.place[text] for text in texts])


@dataclass(frozen=True)
class Panel:
    """A challenger, loaded, and the interviews of all by what they are (``MODELS``): those that are there."""

    challenger: Release
    interviews: Mapping[str, Interview]

    def read(self, texts: Sequence[str]) -> dict[str, Reading]:
        """Return what each of those that are compared said of ``texts``."""
        return {name: self.interviews[name].take(texts) for name in COMPARED if name in self.interviews}

    def model(self, who: str, task: str) -> Model | None:
        """Return the model of ``task`` of one of them, None where it is not there."""
        return self.interviews[who].models.get(task) if who in self.interviews else None


def open_panel(
    loop: Loop,
    challenger: Release,
    standing: Standing,
    registry: ModelRegistry,
    *,
    tested: Sequence[str],
    others: Sequence[str],
    timed: Sequence[str],
) -> Panel:
    """Interview ``challenger``, the champion, and the reference: the first champion, where another has its place now.

    Args:
        loop: whose taxonomy and registry they are of.
        challenger: loaded.
        standing: who is champion, and who was first.
        registry: where the others are.
        tested: texts that all are asked about.
        others: texts that challenger and champion are asked about, too.
        timed: texts that these two are timed on; may be empty.

    Raises:
        RegistryError: the registry cannot be reached, or the files of one are gone.
        ModelError: one of them is damaged.
    """
    taxonomy = loop.settings.taxonomy
    first = standing.champions[0] if standing.champions else None
    versions = {"champion": standing.champion, "reference": first if first != standing.champion else None}
    today = Release(challenger.about, challenger.scorers, taxonomy, folder=challenger.folder)
    asked = tuple(dict.fromkeys((*tested, *others)))
    interviews = {"challenger": _interview(today, asked, timed, taxonomy)}
    for name in MODELS[1:]:
        if version := versions[name]:
            release = Release.load(registry.download(RELEASE, version), taxonomy)
            is_compared = name in COMPARED
            texts = asked if is_compared else tuple(dict.fromkeys(tested))
            interviews[name] = _interview(release, texts, timed if is_compared else (), taxonomy)
            del release  # before the next one is loaded
    return Panel(today, interviews)


def _interview(release: Release, texts: Sequence[str], timed: Sequence[str], taxonomy: Taxonomy) -> Interview:
    own = release.score(texts)
    handed = np.array([bool(reason) for reason in release.step_aside(texts, own)], dtype=bool)
    models = {
        task: Model(scorer.about.labels, scorer.about.training_set_id, measure_megabytes(release.folders[task]))
        for task, scorer in release.scorers.items()
    }
    return Interview(
        Reading(release.in_labels_of(taxonomy, own), handed),
        {text: row for row, text in enumerate(texts)},
        models,
        measure_seconds(release.score, timed) if timed else None,
    )


def _take(scores: Scores, rows: Sequence[int]) -> Scores:
    novelty = None if scores.novelty is None else scores.novelty[list(rows)]
    return replace(scores, probabilities=scores.probabilities[list(rows)], novelty=novelty)
