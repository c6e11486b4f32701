"""The registry group: the release that was built and judged, and the one that is live."""

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from assets.lineage import metadata_of
from assets.resources import Loop
from assets.training import PROBE, settled_labels
from labeling.taxonomy import Taxonomy
from training.registry.registry import MEMBERS_TAG, RELEASE, VERDICT_TAG, registered_name

if TYPE_CHECKING:
    from serving.handoff import HandoffPolicy


TRAINING_SETS: Final = "training_sets"
"""The metadata of a judged release that names, for each task, the frozen set that it learnt from."""


def release_assets(taxonomy: Taxonomy) -> list[dg.AssetsDefinition]:
    """Return ``release_challenger``, which waits for every task's candidate, and ``release_champion``."""

    @dg.asset(
        group_name="registry",
        kinds={"mlflow"},
        deps=[f"{task}_candidate" for task in taxonomy.task_names],
        description="One model per task with the handoff policy fitted to them, judged against the champion.",
    )
    def release_challenger(context: dg.AssetExecutionContext, loop: Loop) -> dg.MaterializeResult:
        members = _members(context, loop)
        if not members:
            return _nothing_yet()
        metadata = _build_and_judge(loop, members, context.log.info)
        learnt = _training_sets(context, members)
        return dg.MaterializeResult(metadata={**metadata, TRAINING_SETS: dg.MetadataValue.json(learnt)})

    @dg.asset(
        group_name="registry",
        kinds={"mlflow"},
        deps=[release_challenger],
        description="The live release: what the ledger says, which the registry's aliases must agree with.",
    )
    def release_champion(loop: Loop) -> dg.MaterializeResult:
        from training.registry.decisions import reconcile
        from training.registry.standing import read_standing

        ledger = loop.open_ledger()
        moves = reconcile(ledger, loop.open_registry(), now=loop.now())
        standing = read_standing(ledger.entries())
        return dg.MaterializeResult(
            metadata={"version": standing.champion or "none yet", "moves": dg.MetadataValue.json(moves)}
        )

    return [release_challenger, release_champion]


def _nothing_yet() -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"version": "", "waits_for": "a first candidate"})


def _members(context: dg.AssetExecutionContext, loop: Loop) -> dict[str, str]:
    """Return task to version: each task's newest candidate, else the champion's; tasks without either are left out."""
    from training.registry.standing import read_standing

    standing = read_standing(loop.open_ledger().entries())
    live = standing.members(standing.champion)
    found: dict[str, str] = {}
    for task in loop.settings.taxonomy.task_names:
        version = metadata_of(context.instance, f"{task}_candidate").get("version") or live.get(registered_name(task))
        if version:
            found[task] = str(version)
    return found


def _training_sets(context: dg.AssetExecutionContext, tasks: Iterable[str]) -> dict[str, str]:
    """Return task to the frozen set that its newest candidate learnt from."""
    found = {task: metadata_of(context.instance, f"{task}_candidate").get("training_set_id") for task in tasks}
    return {task: str(frozen) for task, frozen in found.items() if frozen}


def _fit_handoff(loop: Loop, folders: Mapping[str, Path]) -> "HandoffPolicy":
    """Fit the handoff policy to these models, on the audit lot's calibrate part.

    As a release decides: by the confidence in the model's own labels, whether the answer in today's is right.
    """
    from serving.handoff import CalibrateAnswers, fit_handoff
    from training.scoring import Scorer
    from training.translated import translate_scores

    answers = {}
    for task, folder in folders.items():
        cases = settled_labels(loop, task, lot="audit", part="calibrate")
        scores = Scorer.load(folder).score(cases["text"].to_list())
        said = translate_scores(scores, loop.settings.taxonomy, task).frame()["label"]
        sure = scores.frame()["confidence"].to_numpy()
        answers[task] = CalibrateAnswers(sure, (said == cases["label"]).to_numpy())
    return fit_handoff(answers, loop.settings.handoff)


def _handoff_params(policy: "HandoffPolicy") -> dict[str, str]:
    fitted = {f"{task}.{name}": str(value) for task, found in policy.thresholds.items() for name, value in found}
    return {f"handoff.{name}": value for name, value in fitted.items()}


def _build_and_judge(loop: Loop, members: Mapping[str, str], log: Callable[[str], None]) -> dict[str, Any]:
    from assets.gate_requests import request_cases
    from assets.judging import Asked, judge_release
    from serving.package import package_release
    from serving.release import Release, build_release
    from training.registry.decisions import name_challenger
    from training.registry.registry import PARITY_TAG, PASSED, PROMOTE, RunRecord
    from training.registry.standing import read_standing

    registry = loop.open_registry()
    folders = {task: registry.download(registered_name(task), version) for task, version in members.items()}
    with tempfile.TemporaryDirectory(prefix="cxloop-release-") as built:
        about = build_release(folders, _fit_handoff(loop, folders), Path(built))
        release = Release.load(Path(built))
        log(f"registering {about.release_id}")
        done = registry.register(
            RELEASE,
            package_release(Path(built), release, probe=PROBE),
            RunRecord(experiment=RELEASE, name=about.release_id, params=_handoff_params(about.handoff)),
            key=about.release_id,
            tags={MEMBERS_TAG: json.dumps({registered_name(task): version for task, version in members.items()})},
        )
    version = done.version.version
    judged = judge_release(loop, release, registry, Asked(parity=done.version.tags.get(PARITY_TAG) == PASSED))
    registry.record(done.version, metrics=judged.metrics, documents=judged.documents)
    registry.tag(RELEASE, version, {VERDICT_TAG: judged.verdict})
    requests = request_cases(loop, judged.gates, tasks=list(members))
    standing = read_standing(loop.open_ledger().entries())
    if judged.verdict == PROMOTE and version not in standing.decided and version != standing.champion:
        name_challenger(version, at=loop.now(), ledger=loop.open_ledger(), registry=registry)
    return {
        "version": version,
        "verdict": judged.verdict,
        "gates": dg.MetadataValue.md(judged.summary),
        "open_gate_requests": requests,
        **{name: float(value) for name, value in judged.metrics.items()},
    }
