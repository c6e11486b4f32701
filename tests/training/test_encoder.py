import os
import shutil
import subprocess
import sys

import pytest

from labeling.errors import EncoderError
from tests.small_encoder import small_encoder
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


def test_weights_that_change_in_place_have_another_digest(tmp_path):
    folder = shutil.copytree(small_encoder().name, tmp_path / "mine")
    before = load_encoder(EncoderSpec(name=str(folder)))
    with (folder / "model.safetensors").open("r+b") as weights:
        weights.seek(-4, os.SEEK_END)
        weights.write(b"\x00\x00\x80\x3f")
    after = load_encoder(EncoderSpec(name=str(folder)))
    assert (after.sha256 == before.sha256, after.digest == before.digest) == (False, False)


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
