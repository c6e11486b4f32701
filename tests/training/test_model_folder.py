import json
import shutil

import numpy as np
import pytest

from labeling.errors import ModelError
from tests.training.parts import TEXTS, saved_model
from training.encoder import EncoderSpec, load_encoder
from training.model_folder import load_description
from training.scoring import Scorer


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
