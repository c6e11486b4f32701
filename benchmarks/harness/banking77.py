"""BANKING77 for benchmarks of what a trained intent model knows of itself, and the product's own training on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from labeling.config import load_config
from training.encoder import load_encoder
from training.features import embed_texts
from training.finetune import Examples, Finetuned, finetune
from training.heads import apply_head
from training.recipe import Recipe

INTENTS = 77


@dataclass(frozen=True)
class Part:
    """Texts and their intents."""

    texts: list[str]
    labels: list[str]

    def only(self, names: Sequence[str]) -> "Part":
        """Return what is of the intents ``names``."""
        wanted = set(names)
        rows = [(text, label) for text, label in zip(self.texts, self.labels, strict=True) if label in wanted]
        return Part([text for text, _ in rows], [label for _, label in rows])


def load_banking77(data: Path) -> tuple[Part, Part]:
    """Return the official training and test parts."""
    table = pl.read_csv(data / "banking77.csv")
    train, test = (table.filter(pl.col("split") == split) for split in ("train", "test"))
    return Part(train["text"].to_list(), train["label"].to_list()), Part(
        test["text"].to_list(), test["label"].to_list()
    )


def load_recipe(name: str) -> Recipe:
    """Return the packaged recipe called ``name``."""
    return load_config(Path(__file__).parents[2] / "configs" / "recipes" / f"{name}.yaml", Recipe)


@dataclass(frozen=True)
class Trained:
    """A model of ``names``, the texts that it was trained on, and the targets of the dev rows among them."""

    model: Finetuned
    names: tuple[str, ...]
    train: Part
    dev_targets: np.ndarray

    def answer(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return features (n, d) and logits (n, labels) of ``texts``."""
        adapted = self.model.adapted
        features = embed_texts(adapted.encoder, texts, pooled_layers=adapted.pooled_layers)
        return features, apply_head(features, self.model.head)

    def targets(self, labels: Sequence[str]) -> np.ndarray:
        """Return the number of each label, -1 for those that the model does not know."""
        place = {name: position for position, name in enumerate(self.names)}
        return np.array([place.get(label, -1) for label in labels])


def train_product(part: Part, *, recipe: Recipe, seed: int) -> Trained:
    """Train on ``part`` as the product does; ``recipe.dev_share`` of its rows, drawn by ``seed``, are dev."""
    rows = np.random.default_rng(seed).permutation(len(part.texts))
    count = int(recipe.dev_share * len(rows))
    names = tuple(sorted(set(part.labels)))
    dev, train = (_examples(part, chosen) for chosen in (rows[:count], rows[count:]))
    model = finetune(load_encoder(recipe.encoder), train, dev, names=names, recipe=recipe, seed=seed)
    targets = np.array([names.index(label) for label in dev.labels])
    return Trained(model, names, part, targets)


def _examples(part: Part, rows: np.ndarray) -> Examples:
    return Examples([part.texts[row] for row in rows], [part.labels[row] for row in rows], [1.0] * len(rows))
