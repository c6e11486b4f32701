from dataclasses import replace

import numpy as np
import pytest

from tests.training.parts import TEXTS, saved_model
from training.encoder import EncoderSpec, load_encoder, pool_mean
from training.features import embed_texts
from training.novelty import fit_novelty
from training.scoring import JointScorer, Scorer, Scores, cut_chunks, softmax


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
    assert frame.columns == ["label", "confidence", "margin", "novelty"]
    assert frame["novelty"].to_list() == [None, None]


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


@pytest.fixture(scope="module")
def quadratic(tmp_path_factory):
    """A model with a quadratic head on the last three layers, of which it adapts the top one."""
    folder = tmp_path_factory.mktemp("quadratic") / "model"
    return Scorer.load(saved_model(folder, layers=(5,), is_quadratic=True))


def test_a_quadratic_head_reads_the_layers_that_it_pools(quadratic):
    features, logits = quadratic.read(TEXTS)
    assert features.shape == (len(TEXTS), 3 * 384)
    assert np.allclose(features, embed_texts(_adapted(quadratic), TEXTS, pooled_layers=3), atol=1e-5)
    assert np.array_equal(logits, quadratic.head.logits(features))


def _adapted(scorer):
    return replace(load_encoder(EncoderSpec()), model=scorer.encoder)


def test_models_that_pool_other_layers_say_together_what_each_says_alone(quadratic, upper, top):
    together = JointScorer({"quadratic": quadratic, "upper": upper, "top": top}).score(TEXTS)
    for name, alone in (("quadratic", quadratic), ("upper", upper), ("top", top)):
        assert np.allclose(together[name].probabilities, alone.score(TEXTS).probabilities, atol=1e-6), name
    same = JointScorer({"one": quadratic, "other": quadratic}).score(TEXTS)
    assert np.allclose(same["other"].probabilities, quadratic.score(TEXTS).probabilities, atol=1e-6)


def test_shared_layers_run_once(upper, top):
    runs = []
    for model in (upper.encoder, top.encoder):
        for depth, layer in enumerate(model.encoder.layer):
            layer.register_forward_hook(lambda *_, depth=depth: runs.append(depth))
    JointScorer({"upper": upper, "top": top}).score(TEXTS[:1])
    assert sorted(runs) == [0, 1, 2, 3, 4, 4, 5, 5]


def test_progress_of_joint_scoring_ends_at_one(upper, top):
    shares = []
    JointScorer({"upper": upper, "top": top}).score(TEXTS, on_progress=lambda share, _: shares.append(share))
    assert shares[-1] == 1.0


def test_a_stream_says_what_scoring_all_at_once_says(scorer, top):
    texts = [*TEXTS, *(f"message {number} about the parcel" for number in range(20))]
    streamed = list(scorer.stream(iter(texts)))
    assert np.allclose(streamed[0].probabilities, scorer.score(texts).probabilities, atol=1e-6)
    joint = JointScorer({"whole": scorer, "top": top})
    both = next(joint.stream(texts))
    assert np.array_equal(both["top"].probabilities, joint.score(texts)["top"].probabilities)
    assert list(scorer.stream([])) == []


def test_a_stream_takes_in_no_more_texts_than_it_has_answered():
    taken = []

    def texts():
        for number in range(100_000):
            taken.append(number)
            yield "x" * 10

    chunks = cut_chunks(texts())
    assert len(next(chunks)) == len(taken) == 4096
    assert [len(chunk) for chunk in cut_chunks(["y" * 3_000_000] * 3)] == [2, 1]


def test_threads_change_no_score(scorer):
    import torch

    texts = [f"{text} {number}" for number in range(40) for text in TEXTS]
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(scorer.score(texts).probabilities)
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert np.allclose(*found, atol=1e-6)


def test_novelty_is_measured_by_the_statistics_in_the_folder(scorer, tmp_path):
    features, _ = scorer.read(TEXTS[:4])
    statistics = fit_novelty(features, np.array([0, 0, 1, 1]))
    knowing = Scorer.load(saved_model(tmp_path / "model", novelty=statistics))
    texts = [TEXTS[0], "colourless green ideas sleep furiously"]
    scores = knowing.score(texts)
    assert scores.novelty.shape == (2,)
    assert np.allclose(scores.novelty, statistics.measure(*knowing.read(texts)), atol=1e-4)
    assert np.array_equal(JointScorer({"a": knowing}).score(texts)["a"].novelty, scores.novelty)
    assert scorer.score(texts).novelty is None
