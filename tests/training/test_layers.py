import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from training.encoder import EncoderSpec, load_encoder, pool_layers, pool_mean
from training.features import embed_texts
from training.layers import TopLayers, cut_layers, first_told

TEXTS = ["where is my card", "hello", "I was charged twice for one coffee, please give it back"]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = BertConfig(vocab_size=50, hidden_size=32, num_hidden_layers=4, num_attention_heads=2, intermediate_size=48)
    return BertModel(config).eval()


@pytest.fixture(scope="module")
def taken():
    return torch.tensor([[1, 7, 9, 2], [1, 8, 2, 0]]), torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])


@pytest.fixture(scope="module")
def recorded(model, taken):
    with torch.inference_mode():
        return model(input_ids=taken[0], attention_mask=taken[1], output_hidden_states=True).hidden_states


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_the_last_layers_tell_what_transformers_records(model, taken, recorded, count):
    ids, mask = taken
    with torch.inference_mode():
        states = TopLayers(model, count)(mask, input_ids=ids)
    assert len(states) == count
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in zip(states, recorded[-count:], strict=True))


@pytest.mark.parametrize(("count", "first"), [(1, 3), (3, 2), (3, 1), (2, 3)])
def test_they_run_from_where_the_layers_below_end(model, taken, recorded, count, first):
    ids, mask = taken
    with torch.inference_mode():
        below = cut_layers(model, 0, first)(input_ids=ids, attention_mask=mask).last_hidden_state
        states = TopLayers(model, count, first=first)(mask, inputs_embeds=below)
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in zip(states, recorded[-count:], strict=True))


def test_a_model_that_cannot_be_cut_tells_the_same(model, taken, recorded, monkeypatch):
    monkeypatch.setattr("training.layers.can_cut", lambda _: False)
    ids, mask = taken
    with torch.inference_mode():
        states = TopLayers(model, 3)(mask, input_ids=ids)
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in zip(states, recorded[-3:], strict=True))


def test_no_more_is_cut_off_than_lies_below_what_tells():
    assert [first_told(6, count) for count in (1, 3, 6)] == [6, 4, 1]


def test_a_feature_is_the_layers_side_by_side():
    encoder = load_encoder(EncoderSpec(max_tokens=32))
    wide, plain = embed_texts(encoder, TEXTS, pooled_layers=3), embed_texts(encoder, TEXTS)
    assert wide.shape == (3, 3 * 384)
    assert np.allclose(np.linalg.norm(wide, axis=1), 1, atol=1e-5)
    assert np.allclose(wide[:, -384:] * np.sqrt(3), plain, atol=1e-5)
    mask = torch.ones((1, 2), dtype=torch.long)
    states = [torch.randn(1, 2, 4), torch.randn(1, 2, 4)]
    expected = torch.cat([pool_mean(state, mask) for state in states], dim=1) / np.sqrt(2)
    assert torch.allclose(pool_layers(states, mask), expected)
