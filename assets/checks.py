"""The checks that stand between the groups: where one that blocks fails, nothing after it is made."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import dagster as dg
import polars as pl

from assets.expectations import Rule, find_unmet
from assets.feedback import UNREAD
from assets.lineage import metadata_of
from assets.resources import Loop
from assets.set_checks import training_set_checks
from assets.usual import find_unusual
from labeling import tables as t
from labeling.sources.table_map import FEEDBACK
from labeling.taxonomy import Taxonomy
from training.registry.registry import PARITY_TAG, PASSED, PROMOTE, RELEASE, VERDICT_TAG, registered_name

_LATELY: Final = timedelta(days=8)
"""How far back ids are looked at: what is new, and what it could repeat."""


def build_checks(taxonomy: Taxonomy) -> Sequence[dg.AssetChecksDefinition]:
    """Return every check: of what arrives, of each task's training set and candidate, and of the release."""
    return [
        *(check for table in FEEDBACK for check in (_quarantined_share(table), *_arrival_checks(table))),
        *(check for task in taxonomy.tasks for check in (training_set_checks(task), _parity(task.name))),
        _gates_passed(),
    ]


def _blocks(table: t.Table) -> bool:
    """Say whether a fault in ``table`` stops what comes next: what agents say of context packages trains nothing."""
    return table != t.CONTEXT_FEEDBACK


def _quarantined_share(table: t.Table) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        name="quarantined_share",
        asset=table.name,
        blocking=_blocks(table),
        description="Not too many of the rows that came last were refused: else a source has changed its form.",
    )
    def check(context: dg.AssetCheckExecutionContext, loop: Loop) -> dg.AssetCheckResult:
        allowed = loop.settings.services.collect.max_quarantined_share
        came = metadata_of(context.instance, table.name)
        rows, refused = int(came.get("rows", 0)), int(came.get("quarantined", 0)) - int(came.get("kept_out", 0))
        return dg.AssetCheckResult(
            passed=refused <= allowed * rows,
            metadata={"rows": rows, "refused": refused, "allowed_share": allowed},
            description=f"{refused} of {rows} rows were refused, {allowed:.0%} may be (max_quarantined_share in "
            "settings.yaml); the good ones are stored, `cxloop quarantine list` says why the others are not",
        )

    return check


def _arrival_checks(table: t.Table) -> list[dg.AssetChecksDefinition]:
    @dg.asset_check(
        name="sources_read",
        asset=table.name,
        description="Every source could be read; where one could not, the others were taken in all the same.",
    )
    def sources_read(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        unread = str(metadata_of(context.instance, table.name).get(UNREAD, ""))
        return dg.AssetCheckResult(passed=not unread, description=unread or "every source was read")

    @dg.asset_check(
        name="arrivals_as_usual",
        asset=table.name,
        blocking=_blocks(table),
        description="No source brings far more than it ever did, or has been silent for far longer than ever.",
    )
    def arrivals_as_usual(loop: Loop) -> dg.AssetCheckResult:
        unusual = find_unusual(loop.tables.read(t.DELIVERIES, where=pl.col("table") == table.name), now=loop.now())
        said = "; ".join(f"source {one.source}: {one.reason}" for one in unusual)
        return dg.AssetCheckResult(passed=not unusual, description=said or "as usual")

    @dg.asset_check(
        name="ids_unique",
        asset=table.name,
        blocking=True,
        description="No id stands twice among what happened lately.",
    )
    def ids_unique(loop: Loop) -> dg.AssetCheckResult:
        lately = pl.col(table.event_time) > loop.now() - _LATELY
        rows = loop.tables.read(table, columns=list(table.key), where=lately)
        rule = Rule("repeated", "stands twice", "expect_column_values_to_be_unique", {"column": "id"})
        named = rows.select(pl.concat_str(table.key, separator="\x1f").alias("id"))
        [repeated] = find_unmet(named, [rule]) if rows.height else [[]]
        return dg.AssetCheckResult(passed=not repeated, metadata={"rows": rows.height, "repeated": len(repeated)})

    return [sources_read, arrivals_as_usual, ids_unique]


def _parity(task: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        name="parity",
        asset=f"{task}_candidate",
        blocking=True,
        description="The version answered, reloaded from the registry by its address, as the model in memory did.",
    )
    def check(context: dg.AssetCheckExecutionContext, loop: Loop) -> dg.AssetCheckResult:
        version = str(metadata_of(context.instance, f"{task}_candidate").get("version", ""))
        if not version:
            return dg.AssetCheckResult(passed=True, description="no candidate yet")
        said = loop.open_registry().version(registered_name(task), version).tags.get(PARITY_TAG, "no check")
        return dg.AssetCheckResult(passed=said == PASSED, metadata={"version": version, "parity": said})

    return check


def _gates_passed() -> dg.AssetChecksDefinition:
    @dg.asset_check(
        name="gates_passed",
        asset="release_challenger",
        description="The gates say that the release may be promoted; where they do not, the champion stays.",
    )
    def check(context: dg.AssetCheckExecutionContext, loop: Loop) -> dg.AssetCheckResult:
        version = str(metadata_of(context.instance, "release_challenger").get("version", ""))
        if not version:
            return dg.AssetCheckResult(passed=True, description="no release yet")
        verdict = loop.open_registry().version(RELEASE, version).tags.get(VERDICT_TAG, "no verdict")
        return dg.AssetCheckResult(
            passed=verdict == PROMOTE,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"version": version, "verdict": verdict},
        )

    return check
