import numpy as np
import pytest

from tests.training.parts import TEXTS, saved_model
from training.encoder import EncoderSpec, load_encoder, pool_mean
from training.scoring import JointScorer, Scorer, Scores, softmax


@pytest.fixture(scope="module")
def scorer(model_folder):
    return Scorer.load(model_folder)


def test_scores_are_probabilities_in_the_order_of_the_texts(scorer):
    together = scorer.score(TEXTS)
    assert together.labels == ("delivery", "refund")
    assert together.probabilities.dtype == np.float32
    assert np.allclose(together.probabilities.sum(axis=1), 1.0, atol=1e-6)
    alone = np.vstack([scorer.score([text]).probabilities for text in TEXTS])
    assert np.allclose(together.probabilities, alone, atol=1e-5)


def test_the_merged_model_says_what_peft_says(scorer, model_folder):
    import torch
    from peft import PeftModel
    from safetensors.numpy import load_file

    encoder = load_encoder(EncoderSpec())
    adapted = PeftModel.from_pretrained(encoder.model, str(model_folder / "adapter"))
    adapted.eval()
    head = load_file(model_folder / "head.safetensors")
    tokens = encoder.tokenizer(list(TEXTS), padding=True, return_tensors="pt")
    with torch.inference_mode():
        hidden = adapted(**tokens).last_hidden_state
    logits = pool_mean(hidden, tokens["attention_mask"]).numpy() @ head["weight"].T + head["bias"]
    assert np.allclose(scorer.logits(TEXTS), logits, atol=1e-4)
    assert np.allclose(scorer.score(TEXTS).probabilities, softmax(logits, 1.5), atol=1e-5)


def test_temperature_is_used(scorer):
    logits = scorer.logits(TEXTS)
    assert scorer.about.temperature == 1.5
    assert not np.allclose(scorer.score(TEXTS).probabilities, softmax(logits, 1.0), atol=1e-3)


def test_no_texts_give_no_scores(scorer):
    scores = scorer.score([])
    assert scores.probabilities.shape == (0, 2)
    assert scores.frame().is_empty()


def test_progress_ends_at_one(scorer):
    shares = []
    scorer.score(TEXTS, on_progress=lambda share, _: shares.append(share))
    assert shares[-1] == 1.0


def test_the_frame_holds_label_confidence_and_margin():
    frame = Scores(("a", "b", "c"), np.array([[0.2, 0.7, 0.1], [0.5, 0.25, 0.25]], dtype=np.float32)).frame()
    assert frame["label"].to_list() == ["b", "a"]
    assert frame["confidence"].to_list() == pytest.approx([0.7, 0.5])
    assert frame["margin"].to_list() == pytest.approx([0.5, 0.25])
    assert frame.columns == ["label", "confidence", "margin"]


@pytest.fixture(scope="module")
def upper(tmp_path_factory):
    """A model whose adapter stands on the two top layers of six."""
    return Scorer.load(saved_model(tmp_path_factory.mktemp("upper") / "model", layers=(4, 5)))


@pytest.fixture(scope="module")
def top(tmp_path_factory):
    """A model whose adapter stands on the top layer."""
    return Scorer.load(saved_model(tmp_path_factory.mktemp("top") / "model", layers=(5,)))


def test_models_that_share_layers_say_together_what_each_says_alone(scorer, upper, top):
    together = JointScorer({"whole": scorer, "upper": upper, "top": top}).score(TEXTS)
    assert list(together) == ["whole", "upper", "top"]
    for name, alone in (("whole", scorer), ("upper", upper), ("top", top)):
        assert np.array_equal(together[name].probabilities, alone.score(TEXTS).probabilities), name
    pair = JointScorer({"upper": upper, "top": top}).score(TEXTS)
    assert np.array_equal(pair["top"].probabilities, top.score(TEXTS).probabilities)


def test_shared_layers_run_once(upper, top):
    runs = []
    for model in (upper.model, top.model):
        for depth, layer in enumerate(model.encoder.layer):
            layer.register_forward_hook(lambda *_, depth=depth: runs.append(depth))
    JointScorer({"upper": upper, "top": top}).score(TEXTS[:1])
    assert sorted(runs) == [0, 1, 2, 3, 4, 4, 5, 5]


def test_progress_of_joint_scoring_ends_at_one(upper, top):
    shares = []
    JointScorer({"upper": upper, "top": top}).score(TEXTS, on_progress=lambda share, _: shares.append(share))
    assert shares[-1] == 1.0
