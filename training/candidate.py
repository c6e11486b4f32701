"""Train one candidate: from a frozen training set to a model folder that was read back and compared."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from training.batches import Progress
from training.calibration import fit_temperature
from training.encoder import Encoder, load_encoder
from training.finetune import Epoch, Examples, Finetuned, finetune
from training.heads import apply_head
from training.lowering import add_first_reader, lower_precision
from training.model_folder import ModelDescription, save_model
from training.novelty import Novelty, fit_novelty
from training.recipe import Precision, Recipe
from training.scoring import Scorer, softmax
from training.training_set import TrainingSet, to_dataset

PARITY_TOLERANCE: Final = 1e-3
"""The largest difference in a probability that saving and loading may make; measured ones are about 1e-6."""

_PARITY_TEXTS: Final = 32
_MIN_CALIBRATE: Final = 30
"""Fewer cases say less of a temperature than 1 does."""


@dataclass(frozen=True)
class Candidate:
    """A trained model in its folder, and how it came about.

    ``params`` are the recipe's settings, flat, and what training found; ``parity_gap`` is the largest difference
    between a probability before saving and after loading, to be held against ``PARITY_TOLERANCE``.
    """

    folder: Path
    labels: tuple[str, ...]
    temperature: float
    chosen_epoch: int
    curves: tuple[Epoch, ...]
    params: dict[str, Any]
    parity_gap: float


def train_candidate(
    training_set: TrainingSet,
    interactions: pl.DataFrame,
    *,
    calibrate: pl.DataFrame,
    recipe: Recipe,
    folder: Path,
    seed: int | None = None,
    on_progress: Progress | None = None,
) -> Candidate:
    """Train, calibrate, save, load again and compare.

    A killed run leaves ``folder`` as it was: the model is written beside it and moved in when whole.

    Args:
        training_set: what to train on.
        interactions: INTERACTIONS rows with the texts of the set.
        calibrate: columns text and label, of cases that never train; the temperature comes from those whose label the
            model knows, else from dev, else it is 1 (fewer than 30 cases either way).
        recipe: how.
        folder: where the model goes; an earlier one there is replaced.
        seed: the only source of chance; the recipe's by default.
        on_progress: told after every epoch.

    Raises:
        TrainingError: texts are gone, or training went wrong.
        EncoderError: the encoder is not on this machine.
        ModelError: the folder cannot be written or does not load again.
    """
    seed = recipe.seed if seed is None else seed
    splits = to_dataset(training_set, interactions)
    train, dev = (Examples(part["text"][:], part["label"][:], part["weight"][:]) for part in splits.values())
    encoder = load_encoder(recipe.encoder, device=_choose_device(recipe.device))
    trained = finetune(
        encoder, train, dev, names=training_set.label_names, recipe=recipe, seed=seed, on_progress=on_progress
    )
    names = training_set.label_names
    learnt = np.array([names.index(label) for label in (*train.labels, *dev.labels)])
    novelty = fit_novelty(trained.adapted.features(), learnt)  # of what finetune took in: train, then dev
    temperature, source = _find_temperature(trained, dev, calibrate, names)
    about = ModelDescription(
        task=training_set.task,
        labels=names,
        temperature=temperature,
        recipe=recipe.model_dump(mode="json") | {"seed": seed},
        training_set_id=training_set.training_set_id,
        encoder=recipe.encoder,
        encoder_digest=encoder.digest,
    )
    gap, lowered = _save(
        folder,
        trained,
        encoder,
        about,
        texts=[*dev.texts, *train.texts][:_PARITY_TEXTS],
        held_out=calibrate if source == "calibrate" else pl.DataFrame({"text": dev.texts, "label": dev.labels}),
        learnt=train,
        novelty=novelty,
        training_set=training_set,
    )
    params = recipe.parameters() | {
        "seed": seed,
        "train_rows": len(train.texts),
        "dev_rows": len(dev.texts),
        "chosen_epoch": trained.chosen_epoch,
        "inverse_penalty": trained.inverse_penalty,
        "temperature_source": source,
        **lowered,
    }
    return Candidate(folder, names, params["temperature"], trained.chosen_epoch, trained.curves, params, gap)


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
    folder: Path,
    trained: Finetuned,
    encoder: Encoder,
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
        tokenizer=encoder.tokenizer,
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
    precision: Precision = about.recipe["answers_in"]
    if precision == "fp32":
        return {"temperature": about.temperature}
    changed, lowered = lower_precision(
        folder, precision, texts=held_out["text"].to_list(), labels=held_out["label"].to_list()
    )
    return {
        "temperature": changed.temperature,
        "changed_share": lowered.changed_share,
        "accuracy_lost": lowered.accuracy_lost,
    }


def _choose_device(wanted: str) -> str:
    import torch

    if wanted != "auto":
        return wanted
    return "cuda" if torch.cuda.is_available() else "cpu"
