"""The releases that are held against each other, and what each says of the same texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from assets.resources import Loop
from labeling.taxonomy import Taxonomy
from serving.release import Release
from training.judging.answers import MODELS
from training.registry.registry import RELEASE, ModelRegistry
from training.registry.standing import Standing
from training.scoring import Scores


@dataclass(frozen=True)
class Reading:
    """What one release says of n texts: ``scores`` by task in today's labels; ``handoff`` (n,) if it steps aside."""

    scores: Mapping[str, Scores]
    handoff: np.ndarray

    def take(self, rows: Sequence[int]) -> "Reading":
        """Return what it says of ``rows``, in their order."""
        return Reading({task: take_scores(one, rows) for task, one in self.scores.items()}, self.handoff[list(rows)])


@dataclass(frozen=True)
class Panel:
    """A challenger, the champion, and the reference: the first champion, where another has its place now."""

    challenger: Release
    champion: Release | None
    reference: Release | None
    taxonomy: Taxonomy

    @property
    def releases(self) -> dict[str, Release]:
        """Those that are there, by what they are here."""
        found = {name: getattr(self, name) for name in MODELS}
        return {name: release for name, release in found.items() if release is not None}

    def read(self, texts: Sequence[str], names: Sequence[str] = MODELS) -> dict[str, Reading]:
        """Return what each release of ``names`` that is there says of ``texts``."""
        return {name: self._read(release, texts) for name, release in self.releases.items() if name in names}

    def _read(self, release: Release, texts: Sequence[str]) -> Reading:
        own = release.score(texts)
        handed = np.array([bool(reason) for reason in release.step_aside(texts, own)], dtype=bool)
        return Reading(release.in_labels_of(self.taxonomy, own), handed)


def open_panel(loop: Loop, challenger: Release, standing: Standing, registry: ModelRegistry) -> Panel:
    """Return ``challenger`` with the champion and the reference that it is held against.

    Raises:
        RegistryError: the registry cannot be reached, or the files of one are gone.
        ModelError: one of them is damaged.
    """
    taxonomy = loop.settings.taxonomy
    first = standing.champions[0] if standing.champions else None
    champion, reference = (
        Release.load(registry.download(RELEASE, version), taxonomy) if version else None
        for version in (standing.champion, first if first != standing.champion else None)
    )
    today = Release(challenger.about, challenger.scorers, taxonomy, folders=challenger.folders)
    return Panel(today, champion, reference, taxonomy)


def take_scores(scores: Scores, rows: Sequence[int]) -> Scores:
    """Return the scores of ``rows``, in their order."""
    novelty = None if scores.novelty is None else scores.novelty[list(rows)]
    return replace(scores, probabilities=scores.probabilities[list(rows)], novelty=novelty)
