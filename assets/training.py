"""The training group, once per task of the taxonomy: the frozen set and the candidate trained on it."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import polars as pl

from assets.lineage import metadata_of
from assets.resources import Loop
from assets.review import labels
from labeling import tables as t
from labeling.taxonomy import Task
from labeling.vocabulary import CANNOT_TELL


def training_assets(task: Task) -> list[dg.AssetsDefinition]:
    """Return the two training assets of ``task``: ``{task}_training_set`` and ``{task}_candidate``."""

    @dg.asset(
        name=f"{task.name}_training_set",
        group_name="training",
        kinds={"deltalake", "huggingface"},
        deps=[labels],
        description=f"The labels of {task.name} that may train, frozen and named by digest.",
    )
    def training_set(loop: Loop) -> dg.MaterializeResult:
        return _freeze(loop, task)

    @dg.asset(
        name=f"{task.name}_candidate",
        group_name="training",
        kinds={"pytorch", "mlflow"},
        deps=[training_set],
        description=f"A {task.name} model fine-tuned on the frozen set, registered in MLflow.",
    )
    def candidate(context: dg.AssetExecutionContext, loop: Loop) -> dg.MaterializeResult:
        frozen = metadata_of(context.instance, f"{task.name}_training_set")["training_set_id"]
        return _train(loop, task, str(frozen), context.log.info) if frozen else _waiting(task)

    return [training_set, candidate]


def settled_labels(loop: Loop, task: str, *, lot: str, part: str | None = None) -> pl.DataFrame:
    """Return ``interaction_id, text, label`` and the rest of LABELS for the settled labels of one lot (and part)."""
    where = pl.col("lot") == lot
    texts = loop.tables.read(
        t.INTERACTIONS,
        columns=["interaction_id", "text"],
        where=where if part is None else where & (pl.col("part") == part),
    )
    settled = loop.tables.read(t.LABELS, where=(pl.col("task") == task) & (pl.col("label") != CANNOT_TELL))
    return settled.join(texts, on="interaction_id").sort("interaction_id")


def _waiting(task: Task) -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"version": "", "waits_for": f"settled labels of two classes of {task.name}"})


def _freeze(loop: Loop, task: Task) -> dg.MaterializeResult:
    from training.training_set import freeze_training_set

    trainable = settled_labels(loop, task.name, lot="open").drop("text")
    if trainable["label"].n_unique() < 2:
        return dg.MaterializeResult(metadata={"training_set_id": "", "rows": trainable.height})
    frozen = freeze_training_set(
        trainable,
        loop.tables.read(t.INTERACTIONS),
        task=task,
        key=loop.folder.key(),
        dev_share=loop.settings.recipe.dev_share,
        now=loop.now(),
    )
    loop.tables.merge(t.TRAINING_SETS, frozen.rows)
    classes = frozen.rows["label"].n_unique()
    return dg.MaterializeResult(
        metadata={"training_set_id": frozen.training_set_id, "rows": frozen.rows.height, "classes": classes}
    )


def _train(loop: Loop, task: Task, training_set_id: str, log: Callable[[str], None]) -> dg.MaterializeResult:
    """Train on the frozen set and register the result; a version that exists is found, not trained again."""
    from training.registry.registry import registered_name

    recipe, registry, name = loop.settings.recipe, loop.open_registry(), registered_name(task.name)
    key = digest({"training_set": training_set_id, "recipe": recipe.model_dump(mode="json")})
    found = registry.find(name, key=key)
    if found and found.tags.get(PARITY_TAG) == PASSED:
        return dg.MaterializeResult(metadata={"version": found.version, "was": "registered before"})
    with tempfile.TemporaryDirectory(prefix="cxloop-candidate-") as folder:
        candidate = train_on(loop, task, training_set_id, folder=Path(folder), log=log)
        package = package_task_model(candidate.folder, Scorer.load(candidate.folder), probe=_probe(loop))
        done = registry.register(name, package, _run_record(task, training_set_id, candidate), key=key, tags={})
    return dg.MaterializeResult(
        metadata={
            "version": done.version.version,
            "training_set_id": training_set_id,
            "parity_gap": done.parity.gap if done.parity else 0.0,
            **candidate.figures,
        }
    )
