import numpy as np
import pytest

from labeling.errors import TrainingError
from tests.training.parts import TEXTS
from training.activations import ActivationCache
from training.adapter import AdaptedEncoder
from training.encoder import EncoderSpec, load_encoder
from training.features import embed_texts
from training.recipe import LoraRecipe

LORA = LoraRecipe(rank=2, alpha=4, dropout=0.0, layers=2, target_modules=("query",))


CLOSE = 1e-4
"""What is kept is rounded to float16."""


def adapt(lora=LORA, *, spec=None, seed=0, **how):
    return AdaptedEncoder(load_encoder(spec or EncoderSpec()), lora, seed=seed, **how)


def scramble(adapted):
    import torch

    with torch.no_grad():
        for weight in adapted.parameters:
            weight.add_(0.1)


def full_pass(adapted, texts):
    """Return features of a pass through every layer, one text at a time, nothing kept."""
    encoder = adapted.encoder
    return np.vstack([embed_texts(encoder, [text]) for text in texts])


def test_a_new_adapter_changes_nothing(encoder):
    adapted = adapt()
    adapted.take_in(TEXTS)
    assert np.allclose(adapted.features(), embed_texts(encoder, TEXTS), atol=CLOSE)


@pytest.mark.parametrize("layers", [1, 3, 6, 99])
def test_what_is_kept_gives_what_a_full_pass_gives(layers):
    adapted = adapt(LORA.model_copy(update={"layers": layers}))
    adapted.take_in(TEXTS)
    before = adapted.features()
    scramble(adapted)
    after = adapted.features()
    assert np.abs(after - before).max() > 1e-2
    assert np.allclose(after, full_pass(adapted, TEXTS), atol=CLOSE)
    assert np.allclose(adapted.features(np.array([3, 0])), after[[3, 0]], atol=CLOSE)


def test_a_warm_cache_changes_no_feature(tmp_path):
    cache = ActivationCache(tmp_path, key=b"key", max_bytes=10**9)
    cold, half, warm = (adapt(cache=cache) for _ in range(3))
    cold.take_in(TEXTS[:3])
    half.take_in(TEXTS)
    stored = sorted(tmp_path.glob("*/*"))
    warm.take_in(TEXTS[::-1])
    assert len(stored) == 2
    assert sorted(tmp_path.glob("*/*")) == stored
    alone = adapt()
    alone.take_in(TEXTS)
    assert np.allclose(warm.features()[::-1], half.features(), atol=1e-6)
    assert np.allclose(half.features(), alone.features(), atol=CLOSE)


def test_without_steps_the_encoder_runs_once_a_text_ever(tmp_path, encoder, monkeypatch):
    cache = ActivationCache(tmp_path, key=b"key", max_bytes=10**9)
    still, warm = (adapt(takes_steps=False, pooled_layers=2, cache=cache) for _ in range(2))
    still.take_in(TEXTS[:3] + TEXTS[:1])
    assert np.array_equal(still.features()[0], still.features()[3])
    still.take_in(TEXTS)
    assert np.allclose(still.features(), embed_texts(encoder, TEXTS, pooled_layers=2), atol=4e-4)
    stored = sorted(tmp_path.glob("*/*"))
    monkeypatch.setattr(warm.encoder.model, "forward", None)
    warm.take_in(TEXTS[::-1])
    assert sorted(tmp_path.glob("*/*")) == stored
    assert np.array_equal(warm.features(np.array([1, 0])), still.features()[[-2, -1]])


def test_what_was_kept_is_known_by_what_it_was_computed_in_and_pooled_of(tmp_path):
    cache = ActivationCache(tmp_path, key=b"key", max_bytes=10**9)
    exact, rough, wide = (
        adapt(takes_steps=False, cache=cache, in_bf16=in_bf16, pooled_layers=layers)
        for in_bf16, layers in ((False, 1), (True, 1), (False, 2))
    )
    for adapted in (exact, rough, wide):
        adapted.take_in(TEXTS)
    assert wide.features().shape == (len(TEXTS), 2 * 384)
    assert not np.array_equal(exact.features(), rough.features())
    assert np.allclose(exact.features(), rough.features(), atol=5e-3)
    below = adapt(in_bf16=True)
    below.take_in(TEXTS)
    assert np.allclose(below.features(), rough.features(), atol=2e-3)


def test_only_the_top_layers_are_adapted():
    names = [name for name, weight in adapt().adapter.named_parameters() if weight.requires_grad]
    assert {int(name.split("layer.")[1].split(".")[0]) for name in names} == {4, 5}
    assert all(".query." in name for name in names)


def test_an_encoder_of_another_build_works_without_keeping(tmp_path, encoder):
    import torch
    from transformers import DistilBertConfig, DistilBertModel

    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = DistilBertConfig(vocab_size=30522, dim=32, hidden_dim=64, n_layers=2, n_heads=2)
        DistilBertModel(config).save_pretrained(tmp_path)
    encoder.tokenizer.save_pretrained(tmp_path)
    lora = LORA.model_copy(update={"target_modules": ("q_lin",), "layers": 1})
    adapted = adapt(lora, spec=EncoderSpec(name=str(tmp_path)))
    adapted.take_in(TEXTS)
    scramble(adapted)
    assert adapted.features().shape == (len(TEXTS), 32)
    assert np.allclose(adapted.features(), full_pass(adapted, TEXTS), atol=CLOSE)


def test_weights_are_put_back():
    adapted = adapt()
    adapted.take_in(TEXTS)
    before = adapted.features()
    scramble(adapted)
    changed, state = adapted.features(), adapted.state()
    adapted.restore()
    assert np.array_equal(adapted.features(), before)
    adapted.restore(state)
    assert np.array_equal(adapted.features(), changed)


def test_the_seed_decides_the_first_weights():
    one, same, other = (adapt(seed=seed).state() for seed in (1, 1, 2))
    assert all(bool((a == b).all()) for a, b in zip(one, same, strict=True))
    assert not all(bool((a == b).all()) for a, b in zip(one, other, strict=True))


def test_layers_of_unknown_names_are_refused():
    with pytest.raises(TrainingError, match="needs linear layers called no_such_layer"):
        adapt(LORA.model_copy(update={"target_modules": ("no_such_layer",)}))
