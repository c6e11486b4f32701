"""Who and what was erased: their rows do not come back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import polars as pl

from labeling.delta import Tables
from labeling.digests import keyed_digest
from labeling.sources.records import POSITION
from labeling.sources.refusals import Sifted, refuse
from labeling.tables import ERASURES

CUSTOMER: Final = "customer"
INTERACTION: Final = "interaction"
CONVERSATION: Final = "conversation"
"""The kind of an ERASURES row that stands for a conversation all of whose interactions were erased."""


@dataclass(frozen=True)
class Erased:
    """Keyed digests of the customers, interactions and conversations that were erased; ``key`` is the home's."""

    customers: frozenset[str]
    interactions: frozenset[str]
    conversations: frozenset[str]
    key: bytes

    def withhold(self, rows: pl.DataFrame) -> Sifted:
        """Cut typed ``rows`` (with ``position``) into those that may be stored and those of whom was erased."""
        marks = []
        if "customer_key" in rows.columns:
            marks.append(_is_among(rows["customer_key"], self.customers, str))
        if "interaction_id" in rows.columns:
            names = rows["interaction_id"]
            marks.append(_is_among(names, self.interactions, lambda name: interaction_digest(self.key, name)))
            if "conversation_id" in rows.columns:  # an escalation may name its conversation alone
                talks = _is_among(
                    rows["conversation_id"], self.conversations, lambda name: conversation_digest(self.key, name)
                )
                marks.append(talks & names.is_null())
        if not marks:
            return Sifted(rows, ())
        is_gone = pl.select(pl.any_horizontal(marks)).to_series()
        reason = "was erased at somebody's request and may not come back"
        refused = rows.filter(is_gone).select(POSITION, code=pl.lit("erased"), reason=pl.lit(reason))
        return Sifted(rows.filter(~is_gone), refuse([refused]))


def _is_among(values: pl.Series, gone: frozenset[str], name_of: Callable[[str], str]) -> pl.Series:
    """Return for each of ``values`` whether its digest is one of ``gone``."""
    if not gone:
        return pl.repeat(value=False, n=values.len(), eager=True)
    found = [value for value in values.drop_nulls().unique() if name_of(value) in gone]
    return values.is_in(found).fill_null(value=False)


def read_erased(tables: Tables, key: bytes) -> Erased:
    """Return everything that was erased so far."""
    rows = tables.read(ERASURES, columns=["kind", "digest"])
    kinds = (CUSTOMER, INTERACTION, CONVERSATION)
    return Erased(*(frozenset(rows.filter(pl.col("kind") == kind)["digest"]) for kind in kinds), key=key)


def interaction_digest(key: bytes, interaction_id: str) -> str:
    """Return the keyed digest by which an erased interaction is known."""
    return keyed_digest(key, "interaction", interaction_id)


def conversation_digest(key: bytes, conversation_id: str) -> str:
    """Return the keyed digest by which an erased conversation is known."""
    return keyed_digest(key, CONVERSATION, conversation_id)
