"""The sealed test: no case serves in more judgings than allotted; then it joins what trains, and newer ones follow."""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from assets.resources import Loop
from training.registry.ledger import Entry
from training.registry.standing import JUDGED


def used_up_at(entries: Sequence[Entry], *, uses: int) -> datetime | None:
    """Return the time up to which test cases have served in ``uses`` judgings; None where none has.

    Args:
        entries: the ledger's, oldest first.
        uses: judgings that may open the test with one case in it (>= 1).
    """
    opened = [entry.at for entry in entries if entry.kind == JUDGED and entry.body["test"]]
    return opened[-uses] if len(opened) >= uses else None


def release_used(interactions: pl.DataFrame, loop: Loop) -> pl.DataFrame:
    """Return ``interactions`` with those conversations in the open lot whose place in the sealed test is used up.

    A conversation goes as a whole, when its last message is old enough.

    Args:
        interactions: at least ``conversation_id, occurred_at, lot, part``.
        loop: whose ledger says how often the test was opened, and whose gates how often it may be.
    """
    until = used_up_at(loop.open_ledger().entries(), uses=loop.settings.gates.test_uses)
    if until is None:
        return interactions
    is_test = (pl.col("lot") == "audit") & (pl.col("part") == "test")
    is_used = is_test & (pl.col("occurred_at").max().over("conversation_id") <= until)
    return interactions.with_columns(
        lot=pl.when(is_used).then(pl.lit("open")).otherwise("lot"), part=pl.when(~is_used).then("part")
    )
