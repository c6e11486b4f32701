import math
from pathlib import Path

import numpy as np
import pytest

import training.finetune
from labeling.config import load_config
from labeling.errors import TrainingError
from tests.training.parts import MESSAGES
from training.activations import ActivationCache
from training.adapter import AdaptedEncoder
from training.checkpoint import Checkpoint
from training.encoder import EncoderSpec, load_encoder
from training.features import embed_texts
from training.finetune import Examples, Surroundings, WarmStart, finetune, plan_texts
from training.heads import apply_head, fit_head, head_arrays, head_shape
from training.quadratic import QuadraticHead
from training.recipe import QuadraticRecipe, Recipe, uses_bf16

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


def train(recipe=RECIPE, *, seed=0, pairs=TRAIN, dev=DEV, warm=None, **around):
    return finetune(
        load_encoder(EncoderSpec(max_tokens=32)),
        examples(pairs),
        examples(dev),
        names=NAMES,
        recipe=recipe,
        seed=seed,
        warm=warm,
        around=Surroundings(**around),
    )


def change(**settings):
    return RECIPE.model_copy(update=settings)


def outcome(trained):
    """Return everything that training decided, as numbers."""
    weights = [weight.numpy() for weight in trained.adapted.state()]
    head = head_arrays(trained.head).values()
    return np.concatenate([part.ravel().astype(np.float32) for part in (*weights, *head)])


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
    best = min(trained.curves, key=lambda epoch: epoch.dev_loss)
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


class Killed(BaseException):
    """What a test stops training with, at one message."""


def killer(at):
    heard = []

    def listen(_, message):
        heard.append(message)
        if len(heard) == at:
            raise Killed

    return listen


LEARNING = change(epochs=3, refit=True, learning_rate=1e-2, head_learning_rate=1e-2)
"""Chooses epoch 2: seven messages, four of choosing and three of refitting."""


@pytest.mark.parametrize("at", [1, 3, 5, 6, 7])
def test_a_killed_training_goes_on_and_ends_alike(tmp_path, at, whole_refit):
    with pytest.raises(Killed):
        train(LEARNING, on_progress=killer(at), checkpoint=Checkpoint(tmp_path))
    told = []
    resumed = train(LEARNING, on_progress=lambda _, text: told.append(text), checkpoint=Checkpoint(tmp_path))
    assert np.allclose(outcome(resumed), outcome(whole_refit), atol=1e-6)
    assert np.allclose(resumed.dev_logits, whole_refit.dev_logits, atol=1e-5)
    assert resumed.chosen_epoch == whole_refit.chosen_epoch == 2
    assert [one.epoch for one in resumed.curves] == [one.epoch for one in whole_refit.curves]
    assert any("going on from the checkpoint" in text for text in told) == (at != 1)


@pytest.fixture(scope="module")
def whole_refit():
    return train(LEARNING)


def test_a_damaged_checkpoint_is_left_aside(tmp_path, whole_refit):
    with pytest.raises(Killed):
        train(LEARNING, on_progress=killer(5), checkpoint=Checkpoint(tmp_path))
    [tensors] = tmp_path.glob("*.safetensors")
    content = bytearray(tensors.read_bytes())
    content[-1] ^= 1
    tensors.write_bytes(content)
    assert Checkpoint(tmp_path).load() is None
    assert np.allclose(outcome(train(LEARNING, checkpoint=Checkpoint(tmp_path))), outcome(whole_refit), atol=1e-6)


def start_from(trained, known):
    names = [
        name.replace(".default", "") for name, one in trained.adapted.adapter.named_parameters() if one.requires_grad
    ]
    return WarmStart(dict(zip(names, trained.adapted.state(), strict=True)), trained.head, known)


def test_a_warm_start_learns_what_is_new_from_where_the_earlier_model_stood():
    recipe = change(min_dev=99, fixed_epochs=2, refit=True)
    earlier = train(recipe, pairs=TRAIN[:-4], dev=[])
    nothing_new = train(recipe, warm=start_from(earlier, np.full(len(TRAIN), True)), dev=[])
    assert np.array_equal(outcome(nothing_new), outcome(earlier))
    assert nothing_new.trained_rows == 0
    known = np.arange(len(TRAIN)) < len(TRAIN) - 4
    warm = train(recipe, warm=start_from(earlier, known), dev=[])
    assert warm.trained_rows == 4 + min(len(TRAIN) - 4, 5 * 4)
    assert 0 < np.abs(outcome(warm) - outcome(earlier)).max() < 0.2
    assert math.isnan(warm.inverse_penalty)


@pytest.mark.parametrize(
    "setting", [{"epochs": 1}, {"replay": 0.0}, {"learning_rate": 1e-5}], ids=lambda one: next(iter(one))
)
def test_every_setting_of_a_warm_start_changes_the_model(setting):
    recipe = change(min_dev=99, fixed_epochs=1, refit=True)
    earlier = train(recipe, pairs=TRAIN[:-4], dev=[])
    known = np.arange(len(TRAIN)) < len(TRAIN) - 4
    changed = recipe.model_copy(update={"warm": recipe.warm.model_copy(update=setting)})
    one, other = (train(which, warm=start_from(earlier, known), dev=[]) for which in (recipe, changed))
    assert not np.array_equal(outcome(one), outcome(other))


QUADRATIC = change(
    head=QuadraticRecipe(kind="quadratic", directions=12, penalty=0.1),
    pooled_layers=3,
    warm=RECIPE.warm.model_copy(update={"epochs": 0}),
)


def test_a_quadratic_head_is_fitted_on_the_features_of_the_chosen_epoch():
    trained = train(QUADRATIC)
    assert isinstance(trained.head, QuadraticHead)
    assert trained.head.centre.shape == (trained.adapted.width,) == (3 * 384,)
    assert trained.head.directions.shape[1] == 12
    rows = np.arange(len(TRAIN), len(ALL))
    assert np.allclose(apply_head(trained.adapted.features(rows), trained.head), trained.dev_logits, atol=1e-3)
    assert math.isnan(trained.inverse_penalty)
    texts = [text for text, _ in DEV]
    read = embed_texts(trained.adapted.encoder, texts, pooled_layers=3)
    assert np.allclose(read, trained.adapted.features(rows), atol=1e-3)


def test_a_quadratic_head_without_steps_is_its_start():
    start = train(QUADRATIC.model_copy(update={"min_dev": 99, "fixed_epochs": 0}))
    assert np.array_equal(outcome(start), outcome(train(QUADRATIC.model_copy(update={"epochs": 0}))))
    assert [epoch.epoch for epoch in start.curves] == [0]


@pytest.mark.parametrize("at", [2, 4])
def test_a_killed_training_of_a_quadratic_head_goes_on_and_ends_alike(tmp_path, at):
    recipe = QUADRATIC.model_copy(update={"epochs": 2, "refit": True, "learning_rate": 1e-2})
    with pytest.raises(Killed):
        train(recipe, on_progress=killer(at), checkpoint=Checkpoint(tmp_path))
    resumed, whole = train(recipe, checkpoint=Checkpoint(tmp_path)), train(recipe)
    assert np.allclose(outcome(resumed), outcome(whole), atol=1e-5)
    assert np.allclose(resumed.dev_logits, whole.dev_logits, atol=1e-5)


@pytest.mark.parametrize("epochs", [0, 1])
@pytest.mark.parametrize("recipe", [RECIPE, QUADRATIC], ids=["logistic", "quadratic"])
def test_a_head_reads_a_lexicon_beside_the_encoder_and_steps_do_not(recipe, epochs):
    plain, trained = (train(recipe.model_copy(update={"epochs": epochs, "lexicon": one})) for one in (None, "vader"))
    assert all(map(np.array_equal, trained.adapted.state(), plain.adapted.state()))
    assert head_shape(trained.head)[1] == head_shape(plain.head)[1] + 4 == trained.adapted.width
    logits = apply_head(trained.adapted.features(np.arange(len(TRAIN), len(ALL))), trained.head)
    assert np.allclose(logits, trained.dev_logits, atol=1e-3)


def test_a_warm_quadratic_head_is_fitted_on_everything():
    recipe = QUADRATIC.model_copy(update={"min_dev": 99, "fixed_epochs": 1, "refit": True})
    earlier = train(recipe, pairs=TRAIN[:-4], dev=[])
    start = WarmStart(start_from(earlier, []).adapter, None, np.arange(len(TRAIN)) < len(TRAIN) - 4)
    warm = train(recipe, warm=start, dev=[])
    assert all(map(np.array_equal, warm.adapted.state(), earlier.adapted.state()))
    assert (warm.trained_rows, warm.chosen_epoch) == (0, 0)
    new = np.arange(len(TRAIN) - 4, len(TRAIN))
    targets = [NAMES.index(label) for _, label in TRAIN[-4:]]
    assert apply_head(warm.adapted.features(new), warm.head).argmax(axis=1).tolist() == targets
    stepped = recipe.model_copy(update={"warm": recipe.warm.model_copy(update={"epochs": 1})})
    moved = train(stepped, warm=start, dev=[])
    assert moved.trained_rows == 4 + min(len(TRAIN) - 4, 5 * 4)
    assert not all(map(np.array_equal, moved.adapted.state(), earlier.adapted.state()))


def test_without_steps_only_a_head_is_fitted(tmp_path):
    cache = ActivationCache(tmp_path, key=b"key", max_bytes=10**9)
    recipe = QUADRATIC.model_copy(update={"epochs": 0, "fixed_epochs": 0, "refit": True})
    assert QUADRATIC.takes_steps
    assert not recipe.takes_steps
    cold = train(recipe, cache=cache)
    assert [epoch.epoch for epoch in cold.curves] == [0]
    assert cold.dev_logits.shape == (len(DEV), len(NAMES))
    assert plan_texts(recipe, train=20, dev=10) == plan_texts(recipe, train=20, dev=10, new=3) == 30
    warm = train(recipe, cache=cache, warm=WarmStart(start_from(cold, []).adapter, None, np.arange(len(ALL)) > 3))
    assert np.array_equal(outcome(warm), outcome(cold))
    assert warm.dev_logits is None


@pytest.mark.parametrize("epochs", [0, 1])
def test_a_long_reading_is_told_of(monkeypatch, epochs):
    monkeypatch.setattr(training.finetune, "_TOLD_SECONDS", -1.0)
    told = []
    warm = RECIPE.warm.model_copy(update={"epochs": 0})
    recipe = QUADRATIC.model_copy(update={"epochs": epochs, "fixed_epochs": 0, "warm": warm})
    train(recipe, on_progress=lambda share, text: told.append((share, text)))
    assert (0.0, f"{len(ALL)} texts read") in told


def test_more_layers_than_there_are_cannot_be_pooled():
    with pytest.raises(TrainingError, match="has 6 layers, pooled_layers asks for 7"):
        train(change(pooled_layers=7))


def test_the_layers_pooled_change_the_features():
    assert train(change(epochs=0, pooled_layers=2)).head[0].shape == (len(NAMES), 2 * 384)


def cramp(monkeypatch, most):
    """Let memory end where a training batch has more than ``most`` texts, and let no chance tell batches apart."""
    import torch

    encode = AdaptedEncoder.encode

    def cramped(self, rows):
        if self.adapter.training and len(rows) > most:
            raise torch.OutOfMemoryError("no more memory")
        self.adapter.eval()
        return encode(self, rows)

    monkeypatch.setattr(AdaptedEncoder, "encode", cramped)


def test_a_batch_that_memory_cannot_hold_is_taken_in_parts(monkeypatch):
    told, recipe = [], change(epochs=1, fixed_epochs=1, min_dev=99)
    with monkeypatch.context() as roomy:
        cramp(roomy, 1000)
        whole = train(recipe)
    cramp(monkeypatch, 2)
    cut = train(recipe, on_progress=lambda _, text: told.append(text))
    assert np.allclose(outcome(cut), outcome(whole), atol=1e-3)
    assert any("each batch is now taken in" in text for text in told)


def test_a_text_that_memory_cannot_hold_ends_it(monkeypatch):
    cramp(monkeypatch, 0)
    with pytest.raises(TrainingError, match="needs memory for a part of 1 texts"):
        train(change(epochs=1, fixed_epochs=1, min_dev=99))


def test_two_thousand_labels_of_one_text_each_and_a_text_of_ten_thousand_words_train():
    names = tuple(f"label-{number}" for number in range(2000))
    texts = [f"message {number} of its own" for number in range(1999)] + ["word " * 10_000]
    head = RECIPE.head.model_copy(update={"max_iterations": 2})
    recipe = change(fixed_epochs=1, batch_tokens=4096, head=head, precision="auto")
    train_part = Examples(texts, names, [1.0] * len(names))
    encoder = load_encoder(EncoderSpec(max_tokens=32))
    trained = finetune(encoder, train_part, examples([]), names=names, recipe=recipe, seed=0)
    assert trained.head[0].shape == (2000, encoder.dimension)
    assert int(trained.adapted.lengths.max()) == 32
    assert np.isfinite(outcome(trained)).all()
