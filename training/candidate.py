"""Train one candidate: from a frozen training set to a model folder that was read back and compared."""

import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from labeling.errors import ModelError
from training.calibration import fit_temperature
from training.encoder import Encoder, load_encoder
from training.features import embed_texts
from training.finetune import WARM, Epoch, Examples, Finetuned, Surroundings, WarmStart, finetune, plan_texts
from training.heads import apply_head
from training.lexicon import add_lexicon
from training.lowering import add_first_reader, lower_precision
from training.model_folder import ModelDescription, load_adapter, load_description, load_head, save_model
from training.novelty import Novelty, fit_novelty
from training.quadratic import TEMPERATURE_SPREAD, QuadraticHead
from training.recipe import Precision, Recipe, uses_bf16
from training.scoring import Scorer, softmax
from training.team import Team
from training.training_set import TrainingSet, to_dataset

PARITY_TOLERANCE: Final = 1e-3
"""The largest difference in a probability that saving and loading may make; measured ones are about 1e-6."""

COLD: Final = "cold"
_PARITY_TEXTS: Final = 32
_MIN_CALIBRATE: Final = 30
"""Fewer cases say less of a temperature than 1 does."""


@dataclass(frozen=True)
class Champion:
    """A model to go on from: its folder, and the ``(text_digest, label)`` pairs that it was trained on."""

    folder: Path
    known: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Candidate:
    """A trained model in its folder, and how it came about.

    ``params`` are the recipe's settings, flat, and what training found; ``parity_gap`` is the largest difference
    between a probability before saving and after loading, to be held against ``PARITY_TOLERANCE``. ``confusion`` counts
    dev texts, true labels down and answers across, in the order of ``labels``; None where dev chose nothing. ``pace``
    is in texts a second: ``plan_texts`` over the time that training took.
    """

    folder: Path
    labels: tuple[str, ...]
    temperature: float
    chosen_epoch: int
    curves: tuple[Epoch, ...]
    params: dict[str, Any]
    parity_gap: float
    confusion: np.ndarray | None
    pace: float


def train_candidate(
    training_set: TrainingSet,
    interactions: pl.DataFrame,
    *,
    calibrate: pl.DataFrame,
    recipe: Recipe,
    folder: Path,
    seed: int | None = None,
    champion: Champion | None = None,
    around: Surroundings | None = None,
) -> Candidate:
    """Train, calibrate, save, load again and compare.

    A killed run leaves ``folder`` as it was: the model is written beside it and moved in when whole.

    Args:
        training_set: what to train on.
        interactions: INTERACTIONS rows with the texts of the set.
        calibrate: columns text and label, of cases that never train; the temperature comes from those whose label the
            model knows, else from dev, else it is the champion's, else 1 (fewer than 30 cases either way).
        recipe: how.
        folder: where the model goes; an earlier one there is replaced.
        seed: the only source of chance; the recipe's by default.
        champion: gone on from where it has the same encoder, adapter and labels, and knows most of the set; else
            training starts from scratch.
        around: caches, a checkpoint and who is told; nothing by default.

    Raises:
        TrainingError: texts are gone, or training went wrong.
        EncoderError: the encoder is not on this machine.
        ModelError: the folder cannot be written or does not load again, or the champion's is damaged.
    """
    seed = recipe.seed if seed is None else seed
    around = around or Surroundings(team=Team(recipe.device))
    splits = to_dataset(training_set, interactions)
    train, dev = (Examples(part["text"][:], part["label"][:], part["weight"][:]) for part in splits.values())
    encoder = load_encoder(recipe.encoder, device=around.team.device)
    names = training_set.label_names
    warm = _warm_start(champion, training_set, encoder, recipe) if champion else None
    began = time.monotonic()
    trained = finetune(encoder, train, dev, names=names, recipe=recipe, seed=seed, warm=warm, around=around)
    new = int((~warm.is_known).sum()) if warm else None
    pace = plan_texts(recipe, train=len(train.texts), dev=len(dev.texts), new=new) / (time.monotonic() - began)
    learnt = np.array([names.index(label) for label in (*train.labels, *dev.labels)])
    features = trained.adapted.features()[:, : trained.adapted.told_width]  # of what finetune took in: train, then dev
    is_quadratic = isinstance(trained.head, QuadraticHead)
    novelty = fit_novelty(features, learnt, pooled_layers=recipe.pooled_layers, is_quadratic=is_quadratic)
    before = load_description(champion.folder).temperature if warm and champion else None
    temperature, source = _find_temperature(trained, dev, calibrate, names, champion=before)
    gap, lowered = _save(
        folder,
        trained,
        _describe(training_set, recipe, encoder, seed=seed, temperature=temperature),
        texts=[*dev.texts, *train.texts][:_PARITY_TEXTS],
        held_out=calibrate if source == "calibrate" else pl.DataFrame({"text": dev.texts, "label": dev.labels}),
        learnt=train,
        novelty=novelty,
        training_set=training_set,
    )
    found = {name: getattr(trained, name) for name in ("chosen_epoch", "inverse_penalty", "trained_rows")}
    sizes = {"train_rows": len(train.texts), "dev_rows": len(dev.texts)}
    about = {"seed": seed, "start": WARM if warm else COLD, "temperature_source": source}
    return Candidate(
        folder,
        names,
        temperature=lowered["temperature"],
        chosen_epoch=trained.chosen_epoch,
        curves=trained.curves,
        params=recipe.parameters() | about | sizes | found | lowered,
        parity_gap=gap,
        confusion=_count_confusion(trained, dev, names),
        pace=pace,
    )


def _describe(
    training_set: TrainingSet, recipe: Recipe, encoder: Encoder, *, seed: int, temperature: float
) -> ModelDescription:
    return ModelDescription(
        task=training_set.task,
        labels=training_set.label_names,
        temperature=temperature,
        recipe=recipe.model_dump(mode="json") | {"seed": seed},
        training_set_id=training_set.training_set_id,
        encoder=recipe.encoder,
        encoder_digest=encoder.digest,
        pooled_layers=recipe.pooled_layers,
        lexicon=recipe.lexicon,
    )


def would_start_warm(champion: Champion, training_set: TrainingSet, recipe: Recipe) -> bool:
    """Whether training goes on from ``champion``: the same adapter and labels, most of the set known to it, not all.

    Where nothing is new there is nothing to go on to: who trains then asks for another recipe, from scratch.
    """
    about = load_description(champion.folder)
    is_alike = (
        about.encoder == recipe.encoder
        and about.recipe.get("lora") == recipe.lora.model_dump(mode="json")
        and about.recipe.get("head", {}).get("kind", "logistic") == recipe.head.kind
        and about.pooled_layers == recipe.pooled_layers
        and about.lexicon == recipe.lexicon
        and _took_steps(about.recipe) == recipe.takes_steps
        and set(about.labels) == set(training_set.label_names)
    )
    return is_alike and 0 < float((~_are_known(champion, training_set)).mean()) <= recipe.warm.most_new


def _took_steps(recipe: Mapping[str, Any]) -> bool:
    """Return ``takes_steps`` of the recipe of an earlier model, which may be one that is no longer read as a whole."""
    return bool(recipe.get("epochs") or recipe.get("fixed_epochs") or recipe.get("warm", {}).get("epochs"))


def _are_known(champion: Champion, training_set: TrainingSet) -> np.ndarray:
    """Return which texts of the set, train before dev, the champion was trained on with the label that they have."""
    rows = pl.concat(training_set.rows.filter(pl.col("split") == split) for split in ("train", "dev"))
    pairs = rows.select("text_digest", "label").iter_rows()
    return np.fromiter((pair in champion.known for pair in pairs), dtype=bool, count=rows.height)


def _warm_start(champion: Champion, training_set: TrainingSet, encoder: Encoder, recipe: Recipe) -> WarmStart | None:
    """Return the champion's weights and what it knows of the set; None where training must start from scratch."""
    about = load_description(champion.folder)
    if about.encoder_digest != encoder.digest or not would_start_warm(champion, training_set, recipe):
        return None
    order = [about.labels.index(name) for name in training_set.label_names]
    head = load_head(champion.folder, about, encoder.dimension)
    along = None if isinstance(head, QuadraticHead) or about.lexicon else (head[0][order], head[1][order])
    return WarmStart(load_adapter(champion.folder), along, _are_known(champion, training_set))


def _count_confusion(trained: Finetuned, dev: Examples, names: Sequence[str]) -> np.ndarray | None:
    if trained.dev_logits is None:
        return None
    place = {name: position for position, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, (np.array([place[label] for label in dev.labels]), trained.dev_logits.argmax(axis=1)), 1)
    return counts


def _find_temperature(
    trained: Finetuned, dev: Examples, calibrate: pl.DataFrame, names: Sequence[str], *, champion: float | None
) -> tuple[float, str]:
    """Return a temperature and where it comes from: calibrate, dev, the champion gone on from, or nothing."""
    place = {name: position for position, name in enumerate(names)}
    known = calibrate.filter(pl.col("label").is_in(list(names)))
    spread = TEMPERATURE_SPREAD if isinstance(trained.head, QuadraticHead) else math.inf
    if known.height >= _MIN_CALIBRATE:
        targets = np.array([place[label] for label in known["label"]])
        return fit_temperature(_logits(trained, known["text"].to_list()), targets, spread=spread), "calibrate"
    if trained.dev_logits is not None and len(dev.labels) >= _MIN_CALIBRATE:
        targets = np.array([place[label] for label in dev.labels])
        return fit_temperature(trained.dev_logits, targets, spread=spread), "dev"
    return (1.0, "nothing") if champion is None else (champion, "champion")


def _logits(trained: Finetuned, texts: Sequence[str]) -> np.ndarray:
    """Return what the model says of ``texts``, computed as a saved one does: from the bottom, nothing rounded."""
    adapted = trained.adapted
    told = embed_texts(adapted.encoder, texts, pooled_layers=adapted.pooled_layers)
    return apply_head(add_lexicon(told, texts, adapted.lexicon), trained.head)


def _save(
    folder: Path,
    trained: Finetuned,
    about: ModelDescription,
    *,
    texts: Sequence[str],
    held_out: pl.DataFrame,
    learnt: Examples,
    novelty: Novelty,
    training_set: TrainingSet,
) -> tuple[float, dict[str, float]]:
    """Save the model and load it as anyone would; then let it answer in what its recipe says.

    Returns:
        The largest difference in a probability of ``texts``; the temperature, and what fewer bits cost on
        ``held_out`` (columns text and label).
    """
    before = softmax(_logits(trained, texts), about.temperature)
    fresh = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(fresh, ignore_errors=True)
    save_model(
        fresh,
        adapter=trained.adapted.adapter,
        head=trained.head,
        tokenizer=trained.adapted.encoder.tokenizer,
        model=about,
        novelty=novelty,
        training_set=training_set,
    )
    after = Scorer.load(fresh).score(texts).probabilities
    figures = _lower(fresh, about, held_out)
    if about.recipe["first_reader"]:
        said = held_out["text"].to_list(), held_out["label"].to_list()
        figures["first_reader"] = add_first_reader(fresh, learnt=(learnt.texts, learnt.labels), held_out=said)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.replace(folder)
    return float(np.abs(before - after).max()), figures


def _lower(folder: Path, about: ModelDescription, held_out: pl.DataFrame) -> dict[str, float]:
    wanted = about.recipe["answers_in"]
    unchanged = {"temperature": about.temperature}
    if wanted == "fp32" or (wanted == "auto" and not uses_bf16("auto", "cpu")):
        return unchanged
    precision: Precision = "bf16" if wanted == "auto" else wanted
    texts, labels = held_out["text"].to_list(), held_out["label"].to_list()
    try:
        changed, lowered = lower_precision(folder, precision, texts=texts, labels=labels)
    except ModelError:
        if wanted == "auto":
            return unchanged
        raise
    return {
        "temperature": changed.temperature,
        "changed_share": lowered.changed_share,
        "accuracy_lost": lowered.accuracy_lost,
    }
