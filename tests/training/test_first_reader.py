import shutil

import numpy as np
import pytest

from labeling.errors import ModelError
from tests.training.parts import TEXTS, saved_model
from training.first_reader import MOST_DIFFERENT, FirstReader, fit_first_reader
from training.lowering import add_first_reader
from training.model_folder import load_description
from training.novelty import fit_novelty
from training.scoring import JointScorer, Scorer

SUBJECTS = {"parcel": "delivery", "courier": "delivery", "money": "refund", "payment": "refund"}
MADE = [(f"{word} {number} about the {subject}", label)
        for number in range(100) for subject, label in SUBJECTS.items() for word in ("hello", "please")]  # fmt: skip
LEARNT = tuple(zip(*MADE[:400], strict=True))
HELD_OUT = tuple(zip(*MADE[400:], strict=True))


def place(labels):
    return np.array([("delivery", "refund").index(label) for label in labels])


def test_it_is_sure_of_what_it_knows_and_keeps_its_promise():
    truth = place(HELD_OUT[1])
    reader = fit_first_reader(LEARNT[0], place(LEARNT[1]), held_out=HELD_OUT[0], answers=truth, truth=truth)
    said = reader.read(HELD_OUT[0])
    assert np.allclose(said.sum(axis=1), 1, atol=1e-5)
    kept = reader.is_sure(said)
    assert kept.mean() > 0.9
    assert (said.argmax(axis=1) == truth)[kept].mean() > 1 - MOST_DIFFERENT
    assert not reader.is_sure(reader.read(["xyzzy"])).any()
    assert reader.read([]).shape == (0, 2)


def test_where_answers_differ_or_cases_are_few_there_is_none():
    truth = place(HELD_OUT[1])
    given = {"held_out": HELD_OUT[0], "truth": truth}
    assert fit_first_reader(LEARNT[0], place(LEARNT[1]), answers=1 - truth, **given) is None
    few = {name: part[:50] for name, part in given.items()}
    assert fit_first_reader(LEARNT[0], place(LEARNT[1]), answers=truth[:50], **few) is None


def test_it_is_the_same_once_stored():
    truth = place(HELD_OUT[1])
    reader = fit_first_reader(LEARNT[0], place(LEARNT[1]), held_out=HELD_OUT[0], answers=truth, truth=truth)
    assert np.allclose(FirstReader.from_arrays(reader.arrays()).read(TEXTS), reader.read(TEXTS), atol=1e-2)
    with pytest.raises(ModelError, match="needs an array"):
        FirstReader.from_arrays({})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model whose first reader repeats its answers."""
    statistics = fit_novelty(np.eye(4, 384, dtype=np.float32), np.array([0, 0, 1, 1]))
    made = saved_model(tmp_path_factory.mktemp("quick") / "model", novelty=statistics)
    said = Scorer.load(made).score([*LEARNT[0], *HELD_OUT[0]]).frame()["label"].to_list()
    assert add_first_reader(made, learnt=(LEARNT[0], said[:400]), held_out=(HELD_OUT[0], said[400:]))
    return made


def test_the_encoder_reads_only_what_the_first_reader_is_unsure_of(folder, model_folder):
    scorer, whole = Scorer.load(folder), Scorer.load(model_folder)
    texts = [*HELD_OUT[0][:20], *TEXTS]
    sure = scorer.first_reader.is_sure(scorer.first_reader.read(texts))
    assert 0 < sure.sum() < len(texts)
    read = []
    scorer.encoder.register_forward_hook(lambda *made: read.append(len(made[2].last_hidden_state)))
    scores = scorer.score(texts)
    assert sum(read) == (~sure).sum()
    assert np.isnan(scores.novelty).tolist() == sure.tolist()
    assert np.allclose(scores.probabilities[~sure], whole.score(texts).probabilities[~sure], atol=1e-5)
    assert scores.frame()["novelty"].null_count() == sure.sum()
    joint = JointScorer({"quick": scorer, "whole": whole}).score(texts)
    assert np.allclose(joint["quick"].probabilities, scores.probabilities, atol=1e-5)
    assert np.allclose(joint["whole"].probabilities, whole.score(texts).probabilities, atol=1e-5)


def test_damage_is_named(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "model")
    assert "first_reader.safetensors" in load_description(copy).files
    (copy / "first_reader.safetensors").write_bytes(b"not what it was")
    with pytest.raises(ModelError, match=r"first_reader\.safetensors in .* is missing or damaged"):
        Scorer.load(copy)
