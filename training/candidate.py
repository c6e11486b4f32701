"""Train one candidate: from a frozen training set to a model folder that was read back and compared."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from training.calibration import fit_temperature
from training.encoder import Encoder, load_encoder
from training.finetune import WARM, Epoch, Examples, Finetuned, Surroundings, WarmStart, finetune, plan_texts
from training.heads import apply_head
from training.model_folder import ModelDescription, load_adapter, load_description, load_head, save_model
from training.recipe import Recipe
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
    temperature, source = _find_temperature(trained, dev, calibrate, names)
    if source == "nothing" and warm and champion:
        temperature, source = load_description(champion.folder).temperature, "champion"
    about = ModelDescription(
        task=training_set.task,
        labels=names,
        temperature=temperature,
        recipe=recipe.model_dump(mode="json") | {"seed": seed},
        training_set_id=training_set.training_set_id,
        encoder=recipe.encoder,
        encoder_digest=encoder.digest,
    )
    gap = _save(folder, trained, encoder, about, texts=[*dev.texts, *train.texts][:_PARITY_TEXTS])
    params = recipe.parameters() | {
        "seed": seed,
        "start": WARM if warm else COLD,
        "train_rows": len(train.texts),
        "dev_rows": len(dev.texts),
        "temperature": temperature,
        "temperature_source": source,
    }
    confusion = _count_confusion(trained, dev, names)
    params |= {name: getattr(trained, name) for name in ("chosen_epoch", "inverse_penalty", "trained_rows")}
    return Candidate(folder, names, temperature, trained.chosen_epoch, trained.curves, params, gap, confusion, pace)


def would_start_warm(champion: Champion, training_set: TrainingSet, recipe: Recipe) -> bool:
    """Whether training goes on from ``champion``: the same adapter and labels, and most of the set known to it."""
    about = load_description(champion.folder)
    is_alike = (
        about.encoder == recipe.encoder
        and about.recipe.get("lora") == recipe.lora.model_dump(mode="json")
        and set(about.labels) == set(training_set.label_names)
    )
    return is_alike and bool((~_are_known(champion, training_set)).mean() <= recipe.warm.most_new)


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
    weight, bias = load_head(champion.folder, about, encoder.dimension)
    order = [about.labels.index(name) for name in training_set.label_names]
    return WarmStart(load_adapter(champion.folder), (weight[order], bias[order]), _are_known(champion, training_set))


def _count_confusion(trained: Finetuned, dev: Examples, names: Sequence[str]) -> np.ndarray | None:
    if trained.dev_logits is None:
        return None
    place = {name: position for position, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, (np.array([place[label] for label in dev.labels]), trained.dev_logits.argmax(axis=1)), 1)
    return counts


def _find_temperature(
    trained: Finetuned, dev: Examples, calibrate: pl.DataFrame, names: Sequence[str]
) -> tuple[float, str]:
    """Return a temperature and what it was fitted on: calibrate, dev or nothing."""
    place = {name: position for position, name in enumerate(names)}
    known = calibrate.filter(pl.col("label").is_in(list(names)))
    if known.height >= _MIN_CALIBRATE:
        targets = np.array([place[label] for label in known["label"]])
        return fit_temperature(_logits(trained, known["text"].to_list()), targets), "calibrate"
    if trained.dev_logits is not None and len(dev.labels) >= _MIN_CALIBRATE:
        return fit_temperature(trained.dev_logits, np.array([place[label] for label in dev.labels])), "dev"
    return 1.0, "nothing"


def _logits(trained: Finetuned, texts: Sequence[str]) -> np.ndarray:
    trained.adapted.take_in(texts)
    return apply_head(trained.adapted.features(), trained.head)


def _save(
    folder: Path, trained: Finetuned, encoder: Encoder, about: ModelDescription, *, texts: Sequence[str]
) -> float:
    """Save the model, load it as anyone would, and return the largest difference in a probability of ``texts``."""
    before = softmax(_logits(trained, texts), about.temperature)
    fresh = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(fresh, ignore_errors=True)
    save_model(fresh, adapter=trained.adapted.adapter, head=trained.head, tokenizer=encoder.tokenizer, model=about)
    after = Scorer.load(fresh).score(texts).probabilities
    shutil.rmtree(folder, ignore_errors=True)
    fresh.replace(folder)
    return float(np.abs(before - after).max())
