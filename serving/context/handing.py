"""What a context package is made from, held ready: the live side asks it for one package at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from labeling.delta import Tables
from labeling.errors import StorageError
from labeling.taxonomy import Taxonomy
from serving.context.history import CustomerHistory, read_history
from serving.context.package import ContextPackage, Part, make_package
from serving.context.similar import Embed, NextAction, SimilarCase, SimilarCases, describe_conversation
from serving.conversation import Conversation


@dataclass(frozen=True)
class ContextSource:
    """Makes packages of one home; ``cases`` was built with ``embed``, that of the release that answers."""

    tables: Tables
    taxonomy: Taxonomy
    cases: SimilarCases
    embed: Embed

    def package(
        self,
        conversation: Conversation,
        triage: Mapping[str, Any],
        *,
        now: datetime,
        interaction_id: str | None = None,
        conversation_id: str | None = None,
        customer_key: str | None = None,
    ) -> ContextPackage:
        """Return the package of a conversation, redacted as it came.

        A part whose tables cannot be read is named as lacking: the agent gets the rest, and is not told that there is
        nothing.

        Args:
            conversation: what was said.
            triage: ``Triage.to_json`` of it.
            now: the time.
            interaction_id: of the message that waits, None where the caller named none.
            conversation_id: is left out of the customer's history.
            customer_key: ``labeling.sources.arrivals.customer_key`` of the customer's id; None where that is unknown.
        """
        lacking: list[Part] = []
        similar, actions, history = [], [], None
        try:
            similar, actions = self._find_similar(conversation)
        except StorageError:
            lacking.append("similar_cases")
        try:
            history = self._read_history(customer_key, now, conversation_id)
        except StorageError:
            lacking.append("history")
        return make_package(
            conversation,
            triage,
            now=now,
            taxonomy=self.taxonomy,
            similar=similar,
            next_actions=actions,
            history=history,
            lacking=lacking,
            interaction_id=interaction_id,
        )

    def _find_similar(self, conversation: Conversation) -> tuple[list[SimilarCase], list[NextAction]]:
        feature = describe_conversation(conversation, self.embed) if len(self.cases.features) else None
        if feature is None:
            return [], []
        return self.cases.find(feature, self.tables), self.cases.rank_actions(feature)

    def _read_history(self, customer_key: str | None, now: datetime, but: str | None) -> CustomerHistory | None:
        if customer_key is None:
            return None
        return read_history(self.tables, customer_key, taxonomy=self.taxonomy, before=now, but=but)
