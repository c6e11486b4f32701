import shutil
import sys

import numpy as np
import pytest

from labeling.errors import ModelError
from tests.training.parts import MESSAGES, TEXTS, saved_model
from training.calibration import fit_temperature
from training.lowering import Lowered, lower_precision
from training.model_folder import load_description
from training.scoring import JointScorer, Scorer

CASES = [*MESSAGES["delivery"], *MESSAGES["refund"], *(f"{text}, please" for text in MESSAGES["login"])]


@pytest.fixture(scope="module")
def top(tmp_path_factory):
    """A model whose adapter stands on the top layer, so that five layers are the encoder's own."""
    return saved_model(tmp_path_factory.mktemp("top") / "model", layers=(5,))


@pytest.fixture(scope="module")
def said(top):
    return Scorer.load(top).score(CASES).frame()["label"].to_list()


@pytest.fixture(scope="module")
def int8(top, said, tmp_path_factory):
    folder = shutil.copytree(top, tmp_path_factory.mktemp("int8") / "model")
    return folder, *lower_precision(folder, "int8", texts=CASES, labels=said)


def test_an_int8_model_runs_in_onnx_runtime_and_says_nearly_the_same(top, int8):
    scorer, whole = Scorer.load(int8[0]), Scorer.load(top)
    assert type(scorer.encoder).__name__ == "QuantisedEncoder"
    features, logits = scorer.read(TEXTS)
    before, known = whole.read(TEXTS)
    assert not np.array_equal(features, before)
    assert (features * before).sum(axis=1).min() > 0.95
    assert np.allclose(np.linalg.norm(features, axis=1), 1, atol=1e-5)
    assert np.corrcoef(logits.ravel(), known.ravel())[0, 1] > 0.95


def test_an_int8_model_pools_the_layers_that_it_did(tmp_path):
    folder = saved_model(tmp_path / "model", layers=(5,), is_quadratic=True)
    whole = Scorer.load(folder)
    before = whole.read(CASES)[0]
    lower_precision(folder, "int8", texts=CASES, labels=whole.score(CASES).frame()["label"].to_list())
    features = Scorer.load(folder).read(CASES)[0]
    assert features.shape == before.shape == (30, 3 * 384)
    assert (features * before).sum(axis=1).min() > 0.95


def test_the_temperature_follows_the_answers(top, int8, said):
    folder, about, found = int8
    assert load_description(folder) == about
    assert about.precision == "int8"
    assert found.cases == 30
    assert found.changed_share <= 1 / 30
    targets = np.array([about.labels.index(label) for label in said])
    fits = [fit_temperature(Scorer.load(place).logits(CASES), targets) for place in (top, folder)]
    assert about.temperature == pytest.approx(1.5 * fits[1] / fits[0])


def test_int8_models_of_one_encoder_run_their_common_layers_once(int8, tmp_path, said):
    other = saved_model(tmp_path / "other", layers=(5,), temperature=3.0)
    lower_precision(other, "int8", texts=CASES, labels=said)
    one, two = Scorer.load(int8[0]), Scorer.load(other)
    assert one.encoder.lower_digest == two.encoder.lower_digest != ""

    class Counted:
        def __init__(self, session):
            self.session, self.runs = session, 0

        def run(self, *asked):
            self.runs += 1
            return self.session.run(*asked)

    counted = [Counted(scorer.encoder.lower) for scorer in (one, two)]
    for scorer, session in zip((one, two), counted, strict=True):
        object.__setattr__(scorer.encoder, "lower", session)
    together = JointScorer({"one": one, "two": two}).score(TEXTS)
    assert sum(session.runs for session in counted) == 1
    assert np.array_equal(together["two"].probabilities, two.score(TEXTS).probabilities)


def test_an_adapter_on_every_layer_is_one_file(model_folder, tmp_path):
    folder = shutil.copytree(model_folder, tmp_path / "model")
    labels = Scorer.load(folder).score(CASES).frame()["label"].to_list()
    about, _ = lower_precision(folder, "int8", texts=CASES, labels=labels)
    assert list(about.files) == ["int8/upper.onnx"]
    assert Scorer.load(folder).score(TEXTS).probabilities.shape == (6, 2)


def test_bf16_keeps_the_folder_and_changes_the_scores_a_little(top, said, tmp_path):
    folder = shutil.copytree(top, tmp_path / "model")
    about, found = lower_precision(folder, "bf16", texts=CASES, labels=said)
    assert about.files == {}
    assert found == Lowered(30, 0.0, 0.0)
    exact, near = Scorer.load(top).logits(TEXTS), Scorer.load(folder).logits(TEXTS)
    assert np.allclose(exact, near, atol=0.5)


def test_a_model_whose_answers_change_is_refused_with_the_figures_and_stays(top, said, tmp_path, monkeypatch):
    monkeypatch.setattr("training.lowering.MOST_CHANGED", -1.0)
    folder = shutil.copytree(top, tmp_path / "model")
    before = sorted(path.relative_to(folder) for path in folder.rglob("*"))
    with pytest.raises(
        ModelError, match=r"answers in int8 need at most .* found 0\.0% changed and 0\.0% lost of 30 cases"
    ):
        lower_precision(folder, "int8", texts=CASES, labels=said)
    assert load_description(folder) == load_description(top)
    assert sorted(path.relative_to(folder) for path in folder.rglob("*")) == before


def test_too_few_cases_are_refused(top, tmp_path):
    folder = shutil.copytree(top, tmp_path / "model")
    with pytest.raises(ModelError, match=r"need 30 labelled cases .* found 1"):
        lower_precision(folder, "bf16", texts=["hi", "ho"], labels=["refund", "something new"])


@pytest.mark.parametrize("file", ["int8/lower.onnx", "int8/upper.onnx"])
def test_damage_of_the_int8_encoder_is_named(int8, tmp_path, file):
    folder = shutil.copytree(int8[0], tmp_path / "model")
    (folder / file).write_bytes(b"not what it was")
    with pytest.raises(ModelError, match=f"{file} in .* is missing or damaged"):
        Scorer.load(folder)


def test_without_onnx_runtime_it_says_what_to_install(int8, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ModelError, match=r"not found here: run `pip install cxloop\[onnx\]`"):
        Scorer.load(int8[0])
