"""Cases like this one that people have closed: what solved them, and which actions ended well."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import sqrt
from typing import Final

import numpy as np
import polars as pl
from pydantic import Field

from labeling import tables as t
from labeling.config import Config
from labeling.delta import Tables
from labeling.taxonomy import Taxonomy
from serving.conversation import Conversation

Embed = Callable[[Sequence[str]], np.ndarray]
"""Texts (n) to features (n, d), rows of unit length: those of the release that answers."""

_LATEST: Final = 7
"""A conversation is described by its first message of the customer and so many of the last ones."""
_NEAREST: Final = 50
"""So many of the nearest cases tell which actions end well."""
_Z: Final = 1.96
_EMBEDDED: Final = 4096
"""Messages whose features are made at a time."""


class SimilarCase(Config):
    """A closed case.

    Attributes:
        escalation_id: whose.
        likeness: cosine of its features and those of the conversation at hand, in [-1, 1].
        request: what its customer had written when it came to a person, redacted.
        intent: what the agent resolved it as, as the taxonomy calls it now; None where unknown.
        solved_by: the helpdesk's code for what was done; None where none is kept.
        csat: 1 to 5, None where the customer did not say.
        handle_seconds: how long a person worked on it, None where unknown.
        closed_at: when it ended (UTC).
    """

    escalation_id: str
    likeness: float
    request: str
    intent: str | None
    solved_by: str | None
    csat: int | None
    handle_seconds: float | None
    closed_at: datetime | None


class NextAction(Config):
    """What an agent might do, by how cases like this one ended after it.

    Attributes:
        action: the helpdesk's code.
        cases: how many of the nearest closed cases ended with it (>= 1).
        ended_well: the share of them that were resolved and did not come back, in [0, 1].
        low: the lower end of its 95% interval (Wilson, 1927): what actions are ranked by, so that one lucky case
            does not lead.
    """

    action: str
    cases: int = Field(ge=1)
    ended_well: float = Field(ge=0, le=1)
    low: float = Field(ge=0, le=1)


def describe(texts: Sequence[str], embed: Embed) -> np.ndarray:
    """Return the feature (d,) of a conversation: the mean over the customer's ``texts`` (>= 1), of unit length."""
    mean = embed(_telling(texts)).mean(axis=0)
    return mean / max(float(np.linalg.norm(mean)), 1e-12)


def _telling(texts: Sequence[str]) -> list[str]:
    return [texts[0], *texts[1:][-_LATEST:]]


@dataclass(frozen=True)
class SimilarCases:
    """An index of closed cases: their outcomes and features, but no text, which is read where it lies when asked for.

    A case whose messages were erased since is thereby never told.

    Attributes:
        cases: closed ESCALATIONS with the ``interaction_id`` of the message to show, n rows.
        features: (n, d) float32, rows of unit length.
    """

    cases: pl.DataFrame
    features: np.ndarray

    @classmethod
    def build(cls, tables: Tables, *, taxonomy: Taxonomy, embed: Embed, most: int = 20_000) -> "SimilarCases":
        """Index the ``most`` (>= 1) cases that were closed last, by what their customers wrote before a person came.

        Raises:
            StorageError: a table cannot be read.
        """
        closed = tables.read(t.ESCALATIONS, where=pl.col("resolved").is_not_null()).sort(
            "closed_at", "escalation_id", descending=True, nulls_last=True
        )
        cases = closed.unique("conversation_id", keep="first", maintain_order=True).head(most)
        said = _messages(tables, cases)
        told = said.group_by("conversation_id", maintain_order=True).agg(pl.col("text"), pl.col("interaction_id"))
        shown = pl.coalesce("interaction_id", pl.col("named").list.first())
        topic = taxonomy.tasks[0].name
        intents = {name: taxonomy.current(topic, name) for name in cases["resolved_intent"].drop_nulls().unique()}
        known = cases.join(
            told.rename({"interaction_id": "named"}), on="conversation_id", maintain_order="left"
        ).with_columns(
            interaction_id=shown, intent=pl.col("resolved_intent").replace_strict(intents, return_dtype=pl.String)
        )
        return cls(known.drop("text", "named"), _features(known["text"].to_list(), embed))

    def find(self, feature: np.ndarray, tables: Tables, *, count: int = 3, least: float = 0.5) -> list[SimilarCase]:
        """Return the ``count`` resolved cases most like ``feature`` (d,), the most alike first.

        Args:
            feature: ``describe`` of the conversation at hand.
            tables: where the texts lie.
            count: how many at most.
            least: cases that are less alike than this are not told.

        Raises:
            StorageError: a table cannot be read.
        """
        likeness = self._likeness(feature)
        well = (self.cases["resolved"] & ~self.cases["reopened"].fill_null(value=False)).to_numpy()
        rows = np.flatnonzero(well & (likeness >= least))
        rows = rows[np.argsort(-likeness[rows], kind="stable")][:count].tolist()
        names = self.cases["interaction_id"].gather(rows)
        texts = dict(
            tables.read(
                t.INTERACTIONS,
                columns=["interaction_id", "text"],
                where=pl.col("interaction_id").is_in(names.implode()),
            ).iter_rows()
        )
        return [
            _tell(self.cases.row(row, named=True), float(likeness[row]), texts[name])
            for row, name in zip(rows, names, strict=True)
            if name in texts
        ]

    def rank_actions(self, feature: np.ndarray, *, least: float = 0.5) -> list[NextAction]:
        """Return what ended the nearest cases, the most surely good action first; ``least`` as in ``find``."""
        likeness = self._likeness(feature)
        near = [row for row in np.argsort(-likeness, kind="stable")[:_NEAREST].tolist() if likeness[row] >= least]
        told = self.cases[near].drop_nulls("solved_by")
        well = (pl.col("resolved") & ~pl.col("reopened").fill_null(value=False)).cast(pl.Int64).sum()
        counts = told.group_by("solved_by").agg(cases=pl.len(), well=well)
        ranked = [
            NextAction(action=action, cases=cases, ended_well=good / cases, low=_wilson(good, cases))
            for action, cases, good in counts.iter_rows()
        ]
        return sorted(ranked, key=lambda one: (-one.low, one.action))

    def _likeness(self, feature: np.ndarray) -> np.ndarray:
        return self.features @ feature if len(self.features) else np.zeros(0)


def describe_conversation(conversation: Conversation, embed: Embed) -> np.ndarray | None:
    """Return the feature (d,) of what the customer has said, None where that is nothing."""
    texts = [text for text in conversation.customer_texts() if text.strip()]
    return describe(texts, embed) if texts else None


def _messages(tables: Tables, cases: pl.DataFrame) -> pl.DataFrame:
    """Return what the customers of ``cases`` wrote until a person came, in order."""
    columns = ["interaction_id", "conversation_id", "turn", "occurred_at", "text"]
    mine = pl.col("conversation_id").is_in(cases["conversation_id"].implode())
    said = tables.read(t.INTERACTIONS, columns=columns, where=mine).sort("turn", "occurred_at", "interaction_id")
    until = said.join(cases.select("conversation_id", "escalated_at"), on="conversation_id", maintain_order="left")
    return until.filter(pl.col("occurred_at") <= pl.col("escalated_at"), pl.col("text").str.len_chars() > 0)


def _features(conversations: Sequence[Sequence[str]], embed: Embed) -> np.ndarray:
    """Return one feature a conversation; each text is embedded once."""
    chosen = [_telling(texts) for texts in conversations]
    place = {text: row for row, text in enumerate(dict.fromkeys(text for texts in chosen for text in texts))}
    if not place:
        return np.zeros((0, 0), dtype=np.float32)
    texts = list(place)
    found = np.concatenate([embed(texts[start : start + _EMBEDDED]) for start in range(0, len(texts), _EMBEDDED)])
    means = np.stack([found[[place[text] for text in texts]].mean(axis=0) for texts in chosen])
    return (means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)).astype(np.float32)


def _tell(case: dict, likeness: float, request: str) -> SimilarCase:
    kept = ("escalation_id", "intent", "solved_by", "csat", "handle_seconds", "closed_at")
    return SimilarCase(likeness=likeness, request=request, **{name: case[name] for name in kept})


def _wilson(good: int, cases: int) -> float:
    """Return the lower end of Wilson's 95% interval of a share."""
    share, z = good / cases, _Z
    middle = share + z * z / (2 * cases)
    reach = z * sqrt(share * (1 - share) / cases + z * z / (4 * cases * cases))
    return max(0.0, (middle - reach) / (1 + z * z / cases))
