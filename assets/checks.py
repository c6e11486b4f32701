"""The checks that stand between the groups: where one that blocks fails, nothing after it is made."""

from collections.abc import Sequence
from typing import Final

import dagster as dg
import polars as pl

from assets.lineage import metadata_of
from assets.resources import Loop
from labeling import tables as t
from labeling.taxonomy import Taxonomy
from training.registry.registry import PARITY_TAG, PASSED, PROMOTE, RELEASE, VERDICT_TAG, registered_name

_COLLECTED: Final = (t.INTERACTIONS, t.CORRECTIONS, t.ESCALATIONS)


def build_checks(taxonomy: Taxonomy) -> Sequence[dg.AssetChecksDefinition]:
    """Return every check: of what arrives, of each task's training set and candidate, and of the release."""
    return [
        *(_quarantined_share(table) for table in _COLLECTED),
        *(check for task in taxonomy.task_names for check in (_audit_stays_out(task), _parity(task))),
        _gates_passed(),
    ]


def _quarantined_share(table: t.Table) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        name="quarantined_share",
        asset=table.name,
        blocking=True,
        description="Not too many rows of the newest delivery were refused: else a source has changed its form.",
    )
    def check(loop: Loop) -> dg.AssetCheckResult:
        allowed = loop.settings.services.collect.max_quarantined_share
        mine = loop.tables.read(t.DELIVERIES, where=pl.col("table") == table.name)
        newest = mine.filter(pl.col("collected_at") == pl.col("collected_at").max())
        rows, refused = int(newest["rows"].sum()), int(newest["quarantined"].sum())
        return dg.AssetCheckResult(
            passed=refused <= allowed * rows,
            metadata={"rows": rows, "quarantined": refused, "allowed_share": allowed},
            description=f"{refused} of {rows} rows of the newest delivery are in quarantine, {allowed:.0%} may be",
        )

    return check


def _audit_stays_out(task: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        name="audit_stays_out",
        asset=f"{task}_training_set",
        blocking=True,
        description="No interaction of the audit lot stands in the training set.",
    )
    def check(context: dg.AssetCheckExecutionContext, loop: Loop) -> dg.AssetCheckResult:
        frozen = metadata_of(context.instance, f"{task}_training_set").get("training_set_id", "")
        rows = loop.tables.read(
            t.TRAINING_SETS, columns=["interaction_id"], where=pl.col("training_set_id") == str(frozen)
        )
        audit = loop.tables.read(t.INTERACTIONS, columns=["interaction_id"], where=pl.col("lot") != "open")
        leaked = rows.join(audit, on="interaction_id", how="semi").height
        return dg.AssetCheckResult(passed=leaked == 0, metadata={"rows": rows.height, "of_the_audit_lot": leaked})

    return check


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
