import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from labeling.config import load_config
from training.encoder import EncoderSpec, load_encoder
from training.features import embed_texts
from training.finetune import Examples, finetune
from training.heads import apply_head, fit_head
from training.recipe import Recipe

ROOT = Path(__file__).parents[2]
FILE = Path(os.environ.get("CXLOOP_DATA") or ROOT.parent / "shared" / "data") / "banking77.csv"
RECIPE = load_config(ROOT / "configs" / "recipes" / "default.yaml", Recipe)
INTENTS, LABELS_EACH = 10, 12

pytestmark = pytest.mark.skipif(not FILE.is_file(), reason="needs banking77.csv in the folder that CXLOOP_DATA names")


def test_a_small_set_does_not_lose_to_the_logistic_regression(encoder):
    rows = pl.read_csv(FILE)
    names = sorted(rows["label"].unique())[:INTENTS]
    rows = rows.filter(pl.col("label").is_in(names))
    train = rows.filter(pl.col("split") == "train").group_by("label", maintain_order=True).head(LABELS_EACH)
    test = rows.filter(pl.col("split") == "test").group_by("label", maintain_order=True).head(25)
    examples = Examples(train["text"].to_list(), train["label"].to_list(), [1.0] * train.height)
    trained = finetune(
        load_encoder(EncoderSpec()), examples, Examples([], [], []), names=names, recipe=RECIPE, seed=RECIPE.seed
    )
    truth = np.array([names.index(label) for label in test["label"]])
    trained.adapted.take_in(test["text"].to_list())
    accuracy = (apply_head(trained.adapted.features(), trained.head).argmax(axis=1) == truth).mean()

    targets = np.array([names.index(label) for label in train["label"]])
    start = fit_head(
        embed_texts(encoder, train["text"].to_list()),
        targets,
        np.ones(train.height),
        inverse_penalty=30,
        max_iterations=200,
    )
    reference = (apply_head(embed_texts(encoder, test["text"].to_list()), start).argmax(axis=1) == truth).mean()
    print(f"accuracy {accuracy:.3f}, logistic regression {reference:.3f}")
    assert reference > 0.7
    assert accuracy >= reference - 0.02
