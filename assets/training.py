"""The training group, once per task of the taxonomy: the frozen set and the candidate trained on it."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
import polars as pl

from assets.lineage import metadata_of
from assets.resources import Loop
from assets.review import labels
from assets.sealed_test import release_used
from assets.training_plots import confusion_document, training_plots
from labeling import tables as t
from labeling.digests import digest
from labeling.errors import TooFewLabels, TrainingError
from labeling.taxonomy import Task
from labeling.vocabulary import CANNOT_TELL, SILENCE
from training.recipe import Recipe
from training.registry.registry import PARITY_TAG, PASSED, ModelRegistry, RunRecord, registered_name

if TYPE_CHECKING:
    from training.activations import ActivationCache
    from training.candidate import Candidate, Champion
    from training.finetune import Surroundings
    from training.training_set import TrainingSet

START_TAG: Final = "cxloop.start"
"""The tag that says whether a version went on from a champion ("warm") or began from scratch ("cold")."""

LEFT_OUT: Final = "left_out"
"""The metadata of a training set that counts, for each reason, the labels that could not be used."""

PROBE: Final = ("Where is the parcel that I ordered?", "Thank you, that solved it!", "I want to cancel.", "hello??")
"""What a registered model is asked before and after it was stored: our words, nobody's message."""


PACE_TAG: Final = "cxloop.texts_per_second"
"""The tag that says how fast a version was trained: what a forecast of minutes is made from."""


class TrainConfig(dg.Config):
    """How this run trains: with the recipe of that name (that of settings.yaml by default), from scratch if asked."""

    recipe: str = ""
    from_scratch: bool = False


def training_assets(task: Task) -> list[dg.AssetsDefinition]:
    """Return the two training assets of ``task``: ``{task}_training_set`` and ``{task}_candidate``."""

    @dg.asset(
        name=f"{task.name}_training_set",
        group_name="training",
        kinds={"deltalake", "huggingface"},
        deps=[labels],
        description=f"The labels of {task.name} that may train, frozen and named by digest.",
    )
    def training_set(config: TrainConfig, loop: Loop) -> dg.MaterializeResult:
        return _freeze(loop, task, dev_share=loop.settings.recipe_for(task.name, named=config.recipe).dev_share)

    @dg.asset(
        name=f"{task.name}_candidate",
        group_name="training",
        kinds={"pytorch", "mlflow"},
        deps=[training_set],
        description=f"A {task.name} model fine-tuned on the frozen set, registered in MLflow.",
    )
    def candidate(context: dg.AssetExecutionContext, config: TrainConfig, loop: Loop) -> dg.MaterializeResult:
        frozen = metadata_of(context.instance, f"{task.name}_training_set")["training_set_id"]
        if not frozen:
            return _waiting(task)
        return _train(_Run(loop, task, str(frozen), config, context.log.info))

    return [training_set, candidate]


def settled_labels(loop: Loop, task: str, *, lot: str, part: str | None = None) -> pl.DataFrame:
    """Return ``interaction_id, text, label`` and the rest of LABELS for the settled labels of one lot (and part).

    Labels that were settled under an older taxonomy come as they are called now; retired ones are left out, and so is
    what silence alone says: it repeats the model's own answer. Test cases that are used up count as the open lot's.
    """
    columns = [
        "interaction_id",
        "conversation_id",
        "occurred_at",
        "lot",
        "part",
        "text",
        "language",
        "channel",
        "segment",
    ]
    stored = loop.tables.read(t.INTERACTIONS, columns=columns, where=_may_be_of(lot, part))
    where = pl.col("lot") == lot
    texts = release_used(stored, loop).filter(where if part is None else where & (pl.col("part") == part))
    found = loop.tables.read(t.LABELS, where=(pl.col("task") == task) & (pl.col("source").ne_missing(SILENCE)))
    settled = loop.settings.taxonomy.translate(found).filter(pl.col("label") != CANNOT_TELL)
    about = texts.select("interaction_id", "text", "language", "channel", "segment")
    return settled.join(about, on="interaction_id").sort("interaction_id")


def _may_be_of(lot: str, part: str | None) -> pl.Expr:
    """Return what selects the interactions of a lot (and part), and those that may have come to the open lot since."""
    if lot == "open":
        return (pl.col("lot") == lot) | (pl.col("part") == "test")
    return pl.col("lot") == lot if part is None else (pl.col("lot") == lot) & (pl.col("part") == part)


def open_activations(loop: Loop) -> "ActivationCache":
    """Return what keeps, between trainings, what frozen layers say of texts."""
    from training.activations import ActivationCache

    size = loop.settings.services.retrain.cache_gigabytes
    folder = loop.folder.training / "activations"
    return ActivationCache(folder, key=loop.folder.key(), max_bytes=int(size * 1e9))


def _waiting(task: Task) -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"version": "", "waits_for": f"settled labels of two classes of {task.name}"})


def freeze(loop: Loop, task: Task, *, dev_share: float) -> "TrainingSet":
    """Return the labels of ``task`` that may train, frozen, and not stored.

    Raises:
        TooFewLabels: there are not two labels that can be trained on.
    """
    from training.training_set import freeze_training_set

    return freeze_training_set(
        settled_labels(loop, task.name, lot="open").select(list(t.LABELS.schema)),
        release_used(loop.tables.read(t.INTERACTIONS), loop),
        task=task,
        key=loop.folder.key(),
        dev_share=dev_share,
        now=loop.now(),
    )


def _freeze(loop: Loop, task: Task, *, dev_share: float) -> dg.MaterializeResult:
    try:
        frozen = freeze(loop, task, dev_share=dev_share)
    except TooFewLabels as error:
        return dg.MaterializeResult(metadata={"training_set_id": "", "waits_for": str(error)})
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


@dataclass(frozen=True)
class _Run:
    """One training of one task."""

    loop: Loop
    task: Task
    training_set_id: str
    config: TrainConfig
    log: Callable[[str], None]

    @property
    def recipe(self) -> Recipe:
        return self.loop.settings.recipe_for(self.task.name, named=self.config.recipe)

    @property
    def key(self) -> str:
        """What the version is made of; a version of the same key is found, not made again."""
        asked = {"from_scratch": True} if self.config.from_scratch else {}
        return digest({"training_set": self.training_set_id, "recipe": self.recipe.model_dump(mode="json")} | asked)


def _train(run: _Run) -> dg.MaterializeResult:
    """Train on the frozen set and register the result; a version that exists is found, not trained again."""
    from serving.package import package_task_model
    from training.candidate import PARITY_TOLERANCE
    from training.scoring import Scorer

    registry, name = run.loop.open_registry(), registered_name(run.task.name)
    found = registry.find(name, key=run.key)
    if found and found.tags.get(PARITY_TAG) == PASSED:
        return dg.MaterializeResult(metadata={"version": found.version, "training_set_id": run.training_set_id})
    is_cold = run.config.from_scratch or is_cold_due(registry, run.task, run.recipe)
    live = "" if is_cold else registry.alias(name, "champion") or ""
    champion = open_champion(run.loop, registry, run.task, live) if live else None
    around = _surroundings(run, live)
    with tempfile.TemporaryDirectory(prefix="cxloop-candidate-") as parent:
        made = _fit(run, champion, around, Path(parent) / "model")
        if made.parity_gap > PARITY_TOLERANCE:
            raise TrainingError(
                f"{run.task.name}: a saved model must answer as before within {PARITY_TOLERANCE:g}, found a difference "
                f"of {made.parity_gap:.3g}: train again, and report the recipe if it stays"
            )
        package = package_task_model(made.folder, Scorer.load(made.folder), probe=PROBE)
        tags = {START_TAG: str(made.params["start"]), PACE_TAG: f"{made.pace:.6g}"}
        done = registry.register(name, package, _record(run, made), key=run.key, tags=tags)
    if around.checkpoint:
        around.checkpoint.drop()
    return dg.MaterializeResult(metadata=_facts(run, made, done.version.version))


def is_cold_due(registry: ModelRegistry, task: Task, recipe: Recipe) -> bool:
    """Whether the next training of ``task`` is the one of ``recipe.warm.cold_every`` that is from scratch."""
    from training.candidate import COLD

    starts = [version.tags.get(START_TAG, COLD) for version in registry.versions(registered_name(task.name))]
    since_cold = next((age for age, start in enumerate(reversed(starts)) if start == COLD), len(starts))
    return since_cold + 1 >= recipe.warm.cold_every


def open_champion(loop: Loop, registry: ModelRegistry, task: Task, version: str) -> "Champion":
    """Return a registered version of ``task`` with what it was trained on."""
    from training.candidate import Champion
    from training.model_folder import load_description

    folder = registry.download(registered_name(task.name), version)
    learnt = loop.tables.read(
        t.TRAINING_SETS,
        columns=["text_digest", "label"],
        where=pl.col("training_set_id") == load_description(folder).training_set_id,
    )
    return Champion(folder, frozenset(learnt.iter_rows()))


def _surroundings(run: _Run, champion: str) -> "Surroundings":
    """Return the caches and the checkpoint of this run, and who is told of its progress."""
    from training.checkpoint import Checkpoint
    from training.finetune import Surroundings
    from training.team import Team

    return Surroundings(
        cache=open_activations(run.loop),
        checkpoint=Checkpoint(run.loop.folder.training / "runs" / digest({"run": run.key, "champion": champion})),
        on_progress=lambda share, message: run.log(f"{run.task.name}: {message} ({share:.0%})"),
        team=Team(run.recipe.device),
    )


def _fit(run: _Run, champion: "Champion | None", around: "Surroundings", folder: Path) -> "Candidate":
    from training.candidate import train_candidate
    from training.training_set import load_training_set

    loop = run.loop
    return train_candidate(
        load_training_set(loop.tables, run.training_set_id, task=run.task),
        loop.tables.read(t.INTERACTIONS, columns=["interaction_id", "text"]),
        calibrate=settled_labels(loop, run.task.name, lot="audit", part="calibrate").select("text", "label"),
        recipe=run.recipe,
        folder=folder,
        champion=champion,
        around=around,
    )


def _facts(run: _Run, made: "Candidate", version: str) -> dict[str, Any]:
    last = made.curves[made.chosen_epoch] if made.curves else None
    figures = {"dev_accuracy": last.dev_accuracy} if last and isfinite(last.dev_accuracy) else {}
    return {
        "version": version,
        "training_set_id": run.training_set_id,
        "start": made.params["start"],
        "parity_gap": made.parity_gap,
        "temperature": made.temperature,
        "chosen_epoch": made.chosen_epoch,
        **figures,
        **training_plots(made),
    }


def _record(run: _Run, made: "Candidate") -> RunRecord:
    curves = {
        name: [getattr(epoch, name) for epoch in made.curves] for name in ("train_loss", "dev_accuracy", "dev_loss")
    }
    return RunRecord(
        experiment=f"cxloop-{run.task.name}",
        name=f"{run.task.name}-{run.training_set_id[:12]}",
        params={name: str(value) for name, value in made.params.items()},
        metrics={"temperature": made.temperature, "parity_gap": made.parity_gap, "texts_per_second": made.pace},
        curves=curves,
        documents=confusion_document(made),
        dataset=(f"{run.task.name}_training_set", run.training_set_id),
    )
