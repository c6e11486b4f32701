"""The feedback group: what customers wrote, what agents corrected, how escalations ended."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final

import dagster as dg
import polars as pl

from assets.arrivals_plot import plot_arrivals
from assets.expectations import sift
from assets.resources import Loop
from labeling import tables as t
from labeling.erasing import withhold_aged
from labeling.sources.collect import Collected, Collection, collect
from labeling.sources.erased import read_erased
from labeling.sources.intake import House
from labeling.sources.refusals import Sifted
from labeling.sources.table_map import FEEDBACK

_DESCRIPTIONS: Final = {
    t.INTERACTIONS.name: "Customer messages, redacted, each in its lot for good.",
    t.CORRECTIONS.name: "Agents' word that an interaction's label is another.",
    t.ESCALATIONS.name: "Conversations that went to a person, and how they ended.",
    t.CONTEXT_FEEDBACK.name: "What agents who took over said of the context package.",
}
UNREAD: Final = "unread"
"""Metadata: which sources could not be read, and why, a line each."""


class CollectConfig(dg.Config):
    """``source``: the name of the one source to read; all of them where empty."""

    source: str = ""


def take_in(loop: Loop, *tables: t.Table, only: str = "") -> Collection:
    """Collect what is new at every source of ``tables``, or at the one called ``only``."""
    names = [table.name for table in tables]
    return collect(*names, sources=loop.settings.sources, home=loop.folder, house=house(loop), only=only)


def house(loop: Loop) -> House:
    """Return what every row that arrives is met with."""
    settings, now, key = loop.settings, loop.now(), loop.folder.key()
    days = settings.services.retention.model_dump()

    def sift_rows(rows: pl.DataFrame, table: t.Table) -> Sifted:
        fresh = withhold_aged(rows, table, days=days, now=now)
        sifted = sift(fresh.good, table=table, taxonomy=settings.taxonomy, now=now)
        return Sifted(sifted.good, (*fresh.refusals, *sifted.refusals))

    return House(
        tables=loop.tables,
        key=key,
        rules=settings.redaction,
        lots=settings.selection.lots,
        erased=read_erased(loop.tables, key),
        sift=sift_rows,
        now=now,
    )


def collected(found: Collected, unread: tuple[str, ...]) -> dict[str, Any]:
    """Return what one collection did for one table, as its asset's metadata."""
    counts = {name: value for name, value in asdict(found).items() if name != "newest_at"}
    if found.newest_at is not None:
        counts["newest_at"] = dg.MetadataValue.timestamp(found.newest_at)
    return {**counts, **({UNREAD: "\n".join(unread)} if unread else {})}


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            table.name,
            group_name="feedback",
            kinds={"deltalake", "dlt"},
            description=_DESCRIPTIONS[table.name],
            deps=[] if table == t.INTERACTIONS else [t.INTERACTIONS.name],
        )
        for table in FEEDBACK
    ]
)
def feedback(config: CollectConfig, loop: Loop) -> Iterator[dg.MaterializeResult]:
    """Take in what is new at every source of interactions, corrections, escalations and feedback on them."""
    found = take_in(loop, *FEEDBACK, only=config.source)
    for table in FEEDBACK:
        done = found.tables[table.name]
        metadata = collected(done, found.unread)
        if done.newest_at is not None:
            metadata["lag_hours"] = round((loop.now() - done.newest_at).total_seconds() / 3600, 2)
        if done.rows:
            noted = loop.tables.read(t.DELIVERIES, where=pl.col("table") == table.name)
            metadata["arrivals"] = dg.MetadataValue.md(plot_arrivals(noted, table.name))
        yield dg.MaterializeResult(asset_key=table.name, metadata=metadata)
