import shutil
import subprocess
import sys

import pytest

from labeling.errors import EncoderError
from training.encoder import EncoderSpec, load_encoder


def test_the_packaged_encoder_loads_without_a_hub(encoder):
    assert encoder.sha256.startswith("53aa5117")
    assert encoder.dimension == 384
    assert not encoder.model.training
    assert encoder.spec.public_name == "sentence-transformers/all-MiniLM-L6-v2"


def test_a_wrong_digest_is_refused():
    with pytest.raises(EncoderError, match=r"needs weights of SHA-256 0000.* found 53aa.*install it again"):
        load_encoder(EncoderSpec(sha256="0" * 64))


def test_a_folder_serves_as_encoder_and_damage_is_named(encoder, tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(encoder.path, folder)
    assert load_encoder(EncoderSpec(name=str(folder))).digest == encoder.digest
    assert load_encoder(EncoderSpec(name=str(folder), max_tokens=64)).digest != encoder.digest
    (folder / "config.json").write_text("{")
    with pytest.raises(EncoderError, match="cannot be loaded"):
        load_encoder(EncoderSpec(name=str(folder)))
    (folder / "model.safetensors").unlink()
    with pytest.raises(EncoderError, match=r"needs \*\.safetensors"):
        load_encoder(EncoderSpec(name=str(folder)))


def test_a_hub_model_that_cannot_be_reached_says_what_to_do(monkeypatch):
    script = (
        "from training.encoder import EncoderSpec, load_encoder\n"
        "from labeling.errors import EncoderError\n"
        "try: load_encoder(EncoderSpec(name='no-such-house/no-such-encoder'))\n"
        "except EncoderError as error: print(error)\n"
    )
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "use the packaged encoder" in said
