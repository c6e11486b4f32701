"""The training group, once per task of the taxonomy: the frozen set and the candidate trained on it."""

import tempfile
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Final

import dagster as dg
import polars as pl

from assets.lineage import metadata_of
from assets.resources import Loop
from assets.review import labels
from labeling import tables as t
from labeling.digests import digest
from labeling.errors import TooFewLabels, TrainingError
from labeling.taxonomy import Task
from labeling.vocabulary import CANNOT_TELL, SILENCE
from training.registry.registry import PARITY_TAG, PASSED, RunRecord, registered_name

if TYPE_CHECKING:
    from training.candidate import Candidate

LEFT_OUT: Final = "left_out"
"""The metadata of a training set that counts, for each reason, the labels that could not be used."""

PROBE: Final = ("Where is the parcel that I ordered?", "Thank you, that solved it!", "I want to cancel.", "hello??")
"""What a registered model is asked before and after it was stored: our words, nobody's message."""


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
    """Return ``interaction_id, text, label`` and the rest of LABELS for the settled labels of one lot (and part).

    Labels that were settled under an older taxonomy come as they are called now; retired ones are left out, and so is
    what silence alone says: it repeats the model's own answer.
    """
    where = pl.col("lot") == lot
    texts = loop.tables.read(
        t.INTERACTIONS,
        columns=["interaction_id", "text"],
        where=where if part is None else where & (pl.col("part") == part),
    )
    stored = loop.tables.read(t.LABELS, where=(pl.col("task") == task) & (pl.col("source").ne_missing(SILENCE)))
    settled = loop.settings.taxonomy.translate(stored).filter(pl.col("label") != CANNOT_TELL)
    return settled.join(texts, on="interaction_id").sort("interaction_id")


def _waiting(task: Task) -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"version": "", "waits_for": f"settled labels of two classes of {task.name}"})


def _freeze(loop: Loop, task: Task) -> dg.MaterializeResult:
    from training.training_set import freeze_training_set

    trainable = settled_labels(loop, task.name, lot="open").drop("text")
    try:
        frozen = freeze_training_set(
            trainable,
            loop.tables.read(t.INTERACTIONS),
            task=task,
            key=loop.folder.key(),
            dev_share=loop.settings.recipe.dev_share,
            now=loop.now(),
        )
    except TooFewLabels as error:
        return dg.MaterializeResult(metadata={"training_set_id": "", "rows": trainable.height, "waits_for": str(error)})
    loop.tables.merge(t.TRAINING_SETS, frozen.rows)
    classes = frozen.rows["label"].n_unique()
    return dg.MaterializeResult(
        metadata={
            "training_set_id": frozen.training_set_id,
            "rows": frozen.rows.height,
            "classes": classes,
            LEFT_OUT: dg.MetadataValue.json(dict(frozen.left_out)),
        }
    )


def _train(loop: Loop, task: Task, training_set_id: str, log: Callable[[str], None]) -> dg.MaterializeResult:
    """Train on the frozen set and register the result; a version that exists is found, not trained again."""
    from serving.package import package_task_model
    from training.candidate import PARITY_TOLERANCE
    from training.scoring import Scorer

    recipe, registry, name = loop.settings.recipe, loop.open_registry(), registered_name(task.name)
    key = digest({"training_set": training_set_id, "recipe": recipe.model_dump(mode="json")})
    found = registry.find(name, key=key)
    if found and found.tags.get(PARITY_TAG) == PASSED:
        return dg.MaterializeResult(metadata={"version": found.version, "training_set_id": training_set_id})
    with tempfile.TemporaryDirectory(prefix="cxloop-candidate-") as parent:
        made = _fit(loop, task, training_set_id, Path(parent) / "model", log)
        if made.parity_gap > PARITY_TOLERANCE:
            raise TrainingError(
                f"{task.name}: a saved model must answer as before within {PARITY_TOLERANCE:g}, found a difference of "
                f"{made.parity_gap:.3g}: train again, and report the recipe if it stays"
            )
        package = package_task_model(made.folder, Scorer.load(made.folder), probe=PROBE)
        done = registry.register(name, package, _record(task, training_set_id, made), key=key, tags={})
    last = made.curves[made.chosen_epoch] if made.curves else None
    figures = {"dev_accuracy": last.dev_accuracy} if last and isfinite(last.dev_accuracy) else {}
    return dg.MaterializeResult(
        metadata={
            "version": done.version.version,
            "training_set_id": training_set_id,
            "parity_gap": made.parity_gap,
            "temperature": made.temperature,
            "chosen_epoch": made.chosen_epoch,
            **figures,
        }
    )


def _fit(loop: Loop, task: Task, training_set_id: str, folder: Path, log: Callable[[str], None]) -> "Candidate":
    from training.candidate import train_candidate
    from training.training_set import load_training_set

    calibrate = settled_labels(loop, task.name, lot="audit", part="calibrate").select("text", "label")
    return train_candidate(
        load_training_set(loop.tables, training_set_id, task=task),
        loop.tables.read(t.INTERACTIONS, columns=["interaction_id", "text"]),
        calibrate=calibrate,
        recipe=loop.settings.recipe,
        folder=folder,
        on_progress=lambda share, message: log(f"{task.name}: {message} ({share:.0%})"),
    )


def _record(task: Task, training_set_id: str, made: "Candidate") -> RunRecord:
    curves = {
        name: [getattr(epoch, name) for epoch in made.curves] for name in ("train_loss", "dev_accuracy", "dev_loss")
    }
    return RunRecord(
        experiment=f"cxloop-{task.name}",
        name=f"{task.name}-{training_set_id[:12]}",
        params={name: str(value) for name, value in made.params.items()},
        metrics={"temperature": made.temperature, "parity_gap": made.parity_gap},
        curves=curves,
        dataset=(f"{task.name}_training_set", training_set_id),
    )
