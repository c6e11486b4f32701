import math
from pathlib import Path

import numpy as np
import pytest

from labeling.config import load_config
from labeling.errors import TrainingError
from tests.training.parts import MESSAGES
from training.encoder import EncoderSpec, load_encoder
from training.features import embed_texts
from training.finetune import Examples, finetune, uses_bf16
from training.heads import fit_head
from training.recipe import Recipe

SMOKE = load_config(Path(__file__).parents[2] / "configs" / "recipes" / "smoke.yaml", Recipe)
RECIPE = SMOKE.model_copy(
    update={
        "epochs": 3,
        "patience": 3,
        "min_dev": 6,
        "refit": False,
        "precision": "fp32",
        "learning_rate": 5e-3,
        "batch_tokens": 128,
    }
)
NAMES = tuple(MESSAGES)
ALL = [(text, label) for label, texts in MESSAGES.items() for text in texts]
DEV = ALL[::4]
TRAIN = [pair for pair in ALL if pair not in DEV]


def examples(pairs, weight=1.0):
    return Examples([text for text, _ in pairs], [label for _, label in pairs], [weight] * len(pairs))


def train(recipe=RECIPE, *, seed=0, pairs=TRAIN, dev=DEV, **more):
    encoder = load_encoder(EncoderSpec(max_tokens=32))
    return finetune(encoder, examples(pairs), examples(dev), names=NAMES, recipe=recipe, seed=seed, **more)


def change(**settings):
    return RECIPE.model_copy(update=settings)


def outcome(trained):
    """Return everything that training decided, as numbers."""
    weights = [weight.numpy() for weight in trained.adapted.state()]
    return np.concatenate([part.ravel() for part in (*weights, *trained.head)])


@pytest.fixture(scope="module")
def baseline():
    return outcome(train(change(epochs=1, fixed_epochs=1, min_dev=99)))


def test_one_seed_gives_one_result(baseline):
    recipe = change(epochs=1, fixed_epochs=1, min_dev=99)
    assert np.array_equal(outcome(train(recipe)), baseline)
    assert not np.allclose(outcome(train(recipe, seed=1)), baseline)


def test_training_leaves_the_chance_of_others_alone():
    import torch

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(change(epochs=1))
    assert torch.equal(torch.rand(3), expected)


def test_the_start_is_the_logistic_regression(encoder):
    trained = train(change(epochs=0))
    features = embed_texts(encoder, [text for text, _ in TRAIN])
    targets = np.array([NAMES.index(label) for _, label in TRAIN])
    assert trained.inverse_penalty in RECIPE.head.inverse_penalties
    weight, bias = fit_head(
        features, targets, np.ones(len(TRAIN)), inverse_penalty=trained.inverse_penalty, max_iterations=200
    )
    assert trained.chosen_epoch == 0
    assert np.allclose(trained.head[0], weight, atol=1e-2)
    dev = embed_texts(encoder, [text for text, _ in DEV])
    right = (dev @ weight.T + bias).argmax(axis=1) == [NAMES.index(label) for _, label in DEV]
    assert trained.curves[0].dev_accuracy == pytest.approx(right.mean())


def test_the_best_epoch_on_dev_is_kept():
    trained = train()
    sound = [epoch for epoch in trained.curves if epoch.dev_accuracy >= trained.curves[0].dev_accuracy]
    best = min(sound, key=lambda epoch: epoch.dev_loss)
    assert trained.chosen_epoch == best.epoch
    rows = np.arange(len(TRAIN), len(ALL))
    logits = trained.adapted.features(rows) @ trained.head[0].T + trained.head[1]
    assert np.allclose(logits, trained.dev_logits, atol=1e-4)
    assert [epoch.epoch for epoch in trained.curves] == [0, 1, 2, 3]
    losses = [epoch.train_loss for epoch in trained.curves]
    assert math.isnan(losses[0])
    assert losses[3] < losses[1]


def test_a_harmful_training_falls_back_to_its_start():
    harmful = change(learning_rate=1.0, head_learning_rate=5.0, warmup_share=0.0, max_gradient_norm=1e6)
    trained = train(harmful)
    start = train(change(epochs=0))
    assert trained.curves[-1].dev_accuracy < trained.curves[0].dev_accuracy
    assert trained.chosen_epoch == 0
    assert np.array_equal(outcome(trained), outcome(start))


def test_patience_ends_it():
    harmful = change(learning_rate=1.0, head_learning_rate=5.0, warmup_share=0.0, max_gradient_norm=1e6, patience=1)
    assert [epoch.epoch for epoch in train(harmful).curves] == [0, 1]


def test_refitting_trains_on_dev_too():
    kept = train(change(epochs=1, learning_rate=1e-9, head_learning_rate=1e-9))
    refitted = train(change(epochs=1, refit=True, learning_rate=1e-9, head_learning_rate=1e-9))
    assert kept.chosen_epoch == refitted.chosen_epoch
    assert np.allclose(kept.dev_logits, refitted.dev_logits, atol=1e-4)
    assert not np.allclose(kept.head[0], refitted.head[0], atol=1e-2)


def test_a_small_dev_does_not_choose():
    told = []
    recipe = change(min_dev=len(DEV) + 1, fixed_epochs=2)
    trained = train(recipe, on_progress=lambda share, message: told.append((share, message)))
    assert trained.chosen_epoch == 2
    assert trained.dev_logits is None
    assert [round(share, 2) for share, _ in told] == [0.0, 0.5, 1.0]
    assert "training loss" in told[-1][1]
    with_dev = train(recipe.model_copy(update={"refit": True}))
    assert not np.allclose(outcome(trained), outcome(with_dev))


def test_four_examples_with_no_dev_train():
    few = [ALL[0], ALL[1], ALL[10], ALL[20]]
    trained = train(pairs=few, dev=[], recipe=change(fixed_epochs=1))
    logits = trained.adapted.features() @ trained.head[0].T + trained.head[1]
    assert [NAMES[place] for place in logits.argmax(axis=1)] == [label for _, label in few]


@pytest.mark.parametrize(
    "setting",
    [
        {"learning_rate": 1e-4},
        {"head_learning_rate": 0.1},
        {"weight_decay": 50.0},
        {"warmup_share": 0.9},
        {"max_gradient_norm": 1e-9},
        {"batch_tokens": 32},
        {"precision": "bf16"},
        {"lora": RECIPE.lora.model_copy(update={"dropout": 0.7})},
        {"lora": RECIPE.lora.model_copy(update={"alpha": 40.0})},
        {"lora": RECIPE.lora.model_copy(update={"layers": 2})},
        {"fixed_epochs": 2},
    ],
    ids=lambda setting: next(iter(setting)),
)
def test_every_setting_changes_the_model(setting, baseline):
    recipe = change(**{"epochs": 1, "fixed_epochs": 1, "min_dev": 99} | setting)
    changed = outcome(train(recipe))
    assert changed.shape != baseline.shape or not np.array_equal(changed, baseline)


def test_the_penalties_to_choose_from_are_used(baseline):
    head = RECIPE.head.model_copy(update={"inverse_penalties": (0.5,)})
    trained = train(change(epochs=1, fixed_epochs=1, min_dev=99, head=head))
    assert trained.inverse_penalty == 0.5
    assert not np.allclose(outcome(trained), baseline, atol=1e-2)


def test_weights_are_used(baseline):
    encoder = load_encoder(EncoderSpec(max_tokens=32))
    pairs = examples(TRAIN)
    weighted = Examples(pairs.texts, pairs.labels, [1.0 if n % 2 else 0.05 for n in range(len(TRAIN))])
    recipe = change(epochs=1, fixed_epochs=1, min_dev=99)
    trained = finetune(encoder, weighted, examples(DEV), names=NAMES, recipe=recipe, seed=0)
    assert not np.allclose(outcome(trained), baseline)


def test_a_loss_that_is_no_number_is_named():
    with pytest.raises(TrainingError, match=r"found nan in epoch .*: lower learning_rate"):
        train(change(learning_rate=1e30, head_learning_rate=1e30, warmup_share=0.0, max_gradient_norm=1e30))


def test_the_precision_asked_for_is_used():
    assert uses_bf16("bf16", "cpu")
    assert not uses_bf16("fp32", "cpu")
    assert uses_bf16("auto", "cpu") == uses_bf16("auto", "cpu")
