"""The registry group: the release that was built and judged, the one that is live, and the ledger as a table."""

import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import dagster as dg

from assets.lineage import metadata_of
from assets.resources import Loop
from assets.review_plots import as_markdown
from assets.training import PROBE
from labeling.taxonomy import Taxonomy
from training.registry.registry import MEMBERS_TAG, RELEASE, registered_name

if TYPE_CHECKING:
    from assets.judging import Judging
    from serving.release import Release, ReleaseDescription
    from training.judging.evidence import Request
    from training.registry.registry import ModelRegistry


TRAINING_SETS: Final = "training_sets"
"""The metadata of a judged release that names, for each task, the frozen set that it learnt from."""


class JudgeConfig(dg.Config):
    """What a release must show: that it is better (``improve``), or only no worse (``refresh``)."""

    request: Literal["improve", "refresh"] = "improve"


def release_assets(taxonomy: Taxonomy) -> list[dg.AssetsDefinition]:
    """Return ``release_challenger``, which waits for every task's candidate, ``release_champion`` and ``ledger``."""

    @dg.asset(
        group_name="registry",
        kinds={"mlflow"},
        deps=[f"{task}_candidate" for task in taxonomy.task_names],
        description="One model per task with the handoff policy fitted to them, judged against the champion.",
    )
    def release_challenger(context: dg.AssetExecutionContext, config: JudgeConfig, loop: Loop) -> dg.MaterializeResult:
        members = _members(context, loop)
        if not members:
            return _nothing_yet()
        metadata = _build_and_judge(context, loop, members, config.request)
        learnt = _training_sets(context, members)
        return dg.MaterializeResult(metadata={**metadata, TRAINING_SETS: dg.MetadataValue.json(learnt)})

    @dg.asset(
        group_name="registry",
        kinds={"mlflow"},
        deps=[release_challenger],
        description="The live release: what the ledger says, which the registry's aliases must agree with.",
    )
    def release_champion(loop: Loop) -> dg.MaterializeResult:
        from training.registry.alarm import put_tags_right, watch_registry
        from training.registry.decisions import reconcile
        from training.registry.standing import read_standing

        where = loop.open_ledger(), loop.open_registry()
        watch_registry(*where, now=loop.now())
        moves = [*reconcile(*where, now=loop.now()), *put_tags_right(*where, now=loop.now())]
        standing = read_standing(loop.open_ledger().entries())
        return dg.MaterializeResult(
            metadata={"version": standing.champion or "none yet", "moves": dg.MetadataValue.json(moves)}
        )

    return [release_challenger, release_champion, ledger]


@dg.asset(
    group_name="registry",
    kinds={"deltalake"},
    description="A copy of the ledger to read beside the other tables; the ledger itself is the truth.",
)
def ledger(loop: Loop) -> dg.MaterializeResult:
    """Copy the ledger's new entries."""
    from training.registry.ledger_table import copy_ledger

    return dg.MaterializeResult(metadata={"copied": copy_ledger(loop.open_ledger(), loop.tables)})


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


def _handoff_params(about: "ReleaseDescription") -> dict[str, str]:
    return {f"handoff.{name}": value for name, value in about.handoff.figures().items()}


def _build_and_judge(
    context: dg.AssetExecutionContext, loop: Loop, members: Mapping[str, str], request: "Request"
) -> dict[str, Any]:
    from assets.handoff import fit_release_handoff
    from assets.judging import Judging
    from serving.package import package_release
    from serving.parity import ANSWERS_TAG, note_answers
    from serving.release import Release, build_release
    from training.registry.registry import RunRecord

    registry = loop.open_registry()
    folders = {task: registry.download(registered_name(task), version) for task, version in members.items()}
    with tempfile.TemporaryDirectory(prefix="cxloop-release-") as built:
        about = build_release(folders, fit_release_handoff(loop, folders), Path(built))
        release = Release.load(Path(built))
        context.log.info(f"registering {about.release_id}")
        done = registry.register(
            RELEASE,
            package_release(Path(built), release, probe=PROBE),
            RunRecord(experiment=RELEASE, name=about.release_id, params=_handoff_params(about)),
            key=about.release_id,
            tags={
                MEMBERS_TAG: json.dumps({registered_name(task): version for task, version in members.items()}),
                ANSWERS_TAG: note_answers(release),
            },
        )
        authors = _authors(loop, context, release)
        judging = Judging(done.version, release, request=request, authors=authors)
        return judge_and_name(loop, judging, registry, tasks=list(members))


def judge_and_name(loop: Loop, judging: "Judging", registry: "ModelRegistry", *, tasks: list[str]) -> dict[str, Any]:
    """Judge a release, ask for what its gates lacked, and let it wait for a person where they all passed.

    Returns:
        The metadata of an asset: version, verdict, gates, figures.
    """
    from assets.gate_requests import request_cases
    from assets.judging import judge_release
    from training.registry.decisions import name_challenger
    from training.registry.registry import PROMOTE
    from training.registry.standing import read_standing

    judged = judge_release(loop, judging, registry)
    version = judging.version.version
    registry.record(judging.version, metrics=judged.metrics, documents=judged.documents())
    requests = request_cases(loop, judged.gates, tasks=tasks)
    standing = read_standing(loop.open_ledger().entries())
    if judged.verdict == PROMOTE and version not in standing.decided and version != standing.champion:
        name_challenger(
            version,
            case_file=judged.case_file.digest,
            authors=judging.authors,
            at=loop.now(),
            ledger=loop.open_ledger(),
            registry=registry,
        )
    return {
        "version": version,
        "verdict": judged.verdict,
        "gates": dg.MetadataValue.md(judged.summary),
        "case_file": judged.case_file.digest,
        "open_gate_requests": requests,
        **{name: dg.MetadataValue.md(as_markdown(svg, name)) for name, svg in judged.case_file.plots().items()},
        **{name: float(value) for name, value in judged.metrics.items()},
    }


def _authors(loop: Loop, context: dg.AssetExecutionContext, release: "Release") -> tuple[str, ...]:
    from assets.authors import authors_of
    from training.registry.standing import read_standing

    standing = read_standing(loop.open_ledger().entries())
    judged = standing.judged.get(standing.champion or "")
    about = loop.settings.services.retrain
    recipes = {about.task_recipes.get(task, about.recipe) for task in release.tasks}
    return authors_of(
        _runs_behind(context, release.tasks),
        configs=loop.folder.configs,
        recipes=sorted(recipes),
        since=judged.at if judged else None,
    )


def _runs_behind(context: dg.AssetExecutionContext, tasks: Iterable[str]) -> list[Mapping[str, str]]:
    """Return the tags of the runs that made each candidate, and of this one."""
    events = [context.instance.get_latest_materialization_event(dg.AssetKey(f"{task}_candidate")) for task in tasks]
    names = {event.run_id for event in events if event} - {context.run.run_id}
    found = [context.instance.get_run_by_id(name) for name in sorted(names)]
    return [context.run.tags, *(run.tags for run in found if run)]
