import json
import shutil

import numpy as np
import pytest

from labeling.errors import ModelError
from labeling.tables import TRAINING_SETS
from tests.training.parts import TEXTS, saved_model
from training.encoder import EncoderSpec, load_encoder
from training.model_folder import load_description, load_manifest, load_novelty
from training.novelty import fit_novelty
from training.scoring import Scorer
from training.training_set import TrainingSet

ROWS = [
    {"interaction_id": f"i{n}", "label": label, "weight": 0.5, "text_digest": "d" * 64, "split": split}
    for n, (label, split) in enumerate([("delivery", "train"), ("refund", "train"), ("refund", "dev")])
]


@pytest.fixture
def copy(model_folder, tmp_path):
    return shutil.copytree(model_folder, tmp_path / "model")


def test_the_adapter_is_standard_peft(model_folder):
    from peft import PeftModel

    encoder = load_encoder(EncoderSpec())
    loaded = PeftModel.from_pretrained(encoder.model, str(model_folder / "adapter"))
    assert loaded.peft_config["default"].base_model_name_or_path == "sentence-transformers/all-MiniLM-L6-v2"
    weights = [value for name, value in loaded.named_parameters() if "lora_B" in name]
    assert len(weights) == 6
    assert all(float(value.abs().sum()) > 0 for value in weights)


def test_no_file_is_a_pickle_or_holds_a_path_of_this_machine(model_folder):
    files = {path.relative_to(model_folder).as_posix() for path in model_folder.rglob("*") if path.is_file()}
    assert {"adapter/adapter_config.json", "adapter/adapter_model.safetensors", "head.safetensors"} < files
    assert {path.rsplit(".", 1)[-1] for path in files} <= {"json", "safetensors", "md", "txt"}
    assert not [path for path in files if b"site-packages" in (model_folder / path).read_bytes()]


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"found no model\.json"):
        load_description(tmp_path)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("head.safetensors", "head.safetensors in .* missing or damaged"),
        ("adapter/adapter_model.safetensors", "the adapter in .* is missing, damaged"),
        ("model.json", "model.json in .* is damaged"),
        ("tokenizer/tokenizer.json", "the tokenizer in .* is missing or damaged"),
    ],
)
def test_damage_is_named(copy, file, said):
    (copy / file).write_bytes(b"not what it was")
    with pytest.raises(ModelError, match=said):
        Scorer.load(copy)


def test_a_head_that_does_not_fit_its_labels_is_refused(copy):
    about = json.loads((copy / "model.json").read_text())
    (copy / "model.json").write_text(json.dumps({**about, "labels": ["a", "b", "c"]}))
    with pytest.raises(ModelError, match="needs 3 labels"):
        Scorer.load(copy)


def test_a_model_of_another_encoder_is_refused(copy):
    about = json.loads((copy / "model.json").read_text())
    (copy / "model.json").write_text(json.dumps({**about, "encoder_digest": "f" * 64}))
    with pytest.raises(ModelError, match="needs encoder ffff"):
        Scorer.load(copy)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A model with novelty statistics and the manifest of its training set."""
    features = np.eye(4, 384, dtype=np.float32)
    rows = TRAINING_SETS.frame([{**row, "training_set_id": "set-1", "task": "topic"} for row in ROWS])
    return saved_model(
        tmp_path_factory.mktemp("whole") / "model",
        novelty=fit_novelty(features, np.array([0, 0, 1, 1])),
        training_set=TrainingSet("set-1", "topic", ("delivery", "refund"), rows),
    )


def test_the_manifest_says_what_a_model_learnt_from(whole, model_folder):
    assert load_manifest(whole, load_description(whole)).to_dicts() == ROWS
    said = json.loads((whole / "training_set.json").read_text())
    assert (said["training_set_id"], said["task"]) == ("set-1", "topic")
    assert load_manifest(model_folder, load_description(model_folder)) is None


@pytest.mark.parametrize(
    ("file", "load"), [("novelty.safetensors", load_novelty), ("training_set.json", load_manifest)]
)
def test_damage_of_a_part_is_named(whole, tmp_path, file, load):
    copy = shutil.copytree(whole, tmp_path / "model")
    (copy / file).write_bytes(b"not what it was")
    with pytest.raises(ModelError, match=f"{file} in .* is missing or damaged"):
        load(copy, load_description(copy))
    (copy / file).unlink()
    with pytest.raises(ModelError, match="found no file"):
        load(copy, load_description(copy))


def test_a_folder_of_before_these_parts_loads(copy):
    about = json.loads((copy / "model.json").read_text())
    older = {name: value for name, value in about.items() if name not in ("precision", "files")}
    (copy / "model.json").write_text(json.dumps(older))
    assert Scorer.load(copy).score(TEXTS).novelty is None


def test_saving_again_leaves_no_part_of_the_model_before(whole, tmp_path):
    copy = shutil.copytree(whole, tmp_path / "model")
    saved_model(copy)
    assert not (copy / "novelty.safetensors").exists()
    assert load_description(copy).files == {}


def test_saving_again_replaces_the_model(copy):
    before = Scorer.load(copy).logits(TEXTS)
    saved_model(copy, temperature=3.0)
    after = Scorer.load(copy)
    assert after.about.temperature == 3.0
    assert np.array_equal(after.logits(TEXTS), before)


def test_the_modules_of_an_adapter_stand_in_order_so_that_the_same_model_is_the_same_bytes(tmp_path):
    saved = saved_model(tmp_path / "model", target_modules=("value", "query", "key", "intermediate.dense"))
    said = json.loads((saved / "adapter" / "adapter_config.json").read_text())
    assert said["target_modules"] == ["intermediate.dense", "key", "query", "value"]
