"""What goes along when a person takes over: packages made beside the model's thread, and the index that they need."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import polars as pl

from labeling.delta import Tables
from labeling.errors import StorageError
from labeling.sources.arrivals import customer_key
from labeling.sources.redaction import RedactionRules, redact_texts
from labeling.taxonomy import Taxonomy
from serving.context.card import card
from serving.context.handing import ContextSource
from serving.context.package import ContextPackage, make_package
from serving.context.similar import SimilarCases
from serving.gateway.questions import TriageQuestion
from serving.gateway.releases import NO_RELEASE, Releases
from serving.release import Champion

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Index:
    """Closed cases as the release of ``version`` sees them."""

    version: str
    source: ContextSource


class Packages:
    """Makes the context packages of one home.

    Args:
        releases: who answers; closed cases are found by how the champion's first task reads them.
        tables: the home's.
        taxonomy: today's.
        rules: what is redacted.
        key: the home's.
        most: so many closed cases are held ready, the newest.
        seconds: after so many they are looked for anew.
        now: the clock.
    """

    def __init__(
        self,
        releases: Releases,
        tables: Tables,
        taxonomy: Taxonomy,
        rules: RedactionRules,
        *,
        key: bytes,
        most: int,
        seconds: float,
        now: Callable[[], datetime],
    ) -> None:
        self._releases = releases
        self._tables = tables
        self._taxonomy = taxonomy
        self._rules = rules
        self._key = key
        self._most = most
        self._seconds = seconds
        self._looked = time.monotonic()
        self._now = now
        self._index: _Index | None = None

    def make(self, question: TriageQuestion, answer: Mapping[str, Any]) -> ContextPackage:
        """Return the package of what ``question`` holds; ``answer`` is what was answered to it.

        What cannot be read just now is named as lacking.
        """
        told = {**answer, "release": answer["release"] or NO_RELEASE, "in_scope": answer["in_scope"] is not False}
        conversation = question.conversation(redact_texts(pl.Series(question.texts()), self._rules).to_list())
        if self._index is None:
            return make_package(
                conversation,
                told,
                now=self._now(),
                taxonomy=self._taxonomy,
                lacking=("similar_cases", "history"),
                interaction_id=question.id,
            )
        customer = question.body.customer_id
        return self._index.source.package(
            conversation,
            told,
            now=self._now(),
            interaction_id=question.id,
            conversation_id=question.body.conversation_id,
            customer_key=customer_key(self._key, customer) if customer else None,
        )

    def show(self, package: ContextPackage) -> str:
        """Return ``package`` as a card."""
        return card(package)

    def refresh_where_due(self) -> None:
        """Refresh where another release answers than before, or enough time has gone by."""
        if self.is_stale or time.monotonic() - self._looked >= self._seconds:
            self._looked = time.monotonic()
            self.refresh()

    def refresh(self) -> None:
        """Look for closed cases anew, as the champion of now sees them; keeps those of before where that fails."""
        champion = self._releases.live.champion
        if champion is None:
            return
        try:
            embed = _embed(champion)
            cases = SimilarCases.build(self._tables, taxonomy=self._taxonomy, embed=embed, most=self._most)
        except StorageError as error:
            _LOG.warning("closed cases cannot be read: %s", error)
            return
        self._index = _Index(champion.version, ContextSource(self._tables, self._taxonomy, cases, embed))

    @property
    def is_stale(self) -> bool:
        """Whether another release answers now than the one that the closed cases were read with."""
        champion = self._releases.live.champion
        return champion is not None and (self._index is None or self._index.version != champion.version)


def _embed(champion: Champion) -> Callable[[Any], np.ndarray]:
    scorer = champion.release.scorers[champion.release.tasks[0]]
    return lambda texts: scorer.read(list(texts))[0]
