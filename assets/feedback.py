"""The feedback group: what customers wrote, what agents corrected, how escalations ended."""

import dagster as dg

from assets.expectations import sift
from assets.resources import Loop
from labeling import tables as t
from labeling.sources.collect import Collected, collect


def take_in(loop: Loop, table: t.Table) -> Collected:
    """Collect the new files of every source of ``table``."""
    settings = loop.settings

    def sift_rows(frame, of):  # noqa: ANN001, ANN202
        return sift(frame, table=of, taxonomy=settings.taxonomy, now=loop.now())

    return collect(
        table,
        sources=settings.sources,
        home=loop.folder,
        rules=settings.redaction,
        lots=settings.selection.lots,
        sift=sift_rows,
        now=loop.now(),
    )


def collected(found: Collected) -> dg.MaterializeResult:
    """Return what one collection did, as the asset's metadata."""
    return dg.MaterializeResult(
        metadata={
            "files": found.files,
            "rows": found.rows,
            "new": found.inserted,
            "superseded": found.updated,
            "quarantined": found.quarantined,
        }
    )


@dg.asset(group_name="feedback", kinds={"deltalake"})
def interactions(loop: Loop) -> dg.MaterializeResult:
    """Customer messages, redacted, each in its lot for good."""
    return collected(take_in(loop, t.INTERACTIONS))


@dg.asset(group_name="feedback", kinds={"deltalake"}, deps=[interactions])
def corrections(loop: Loop) -> dg.MaterializeResult:
    """Agents' word that an interaction's label is another."""
    return collected(take_in(loop, t.CORRECTIONS))


@dg.asset(group_name="feedback", kinds={"deltalake"}, deps=[interactions])
def escalations(loop: Loop) -> dg.MaterializeResult:
    """Conversations that went to a person, and how they ended."""
    return collected(take_in(loop, t.ESCALATIONS))
