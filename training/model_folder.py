"""A trained model as a folder of standard parts: a PEFT adapter, a head, a tokenizer, and what they belong to.

::

    adapter/            as PEFT saves it; ``PeftModel.from_pretrained`` loads it
    head.safetensors    weight (labels, dimension) and bias (labels,), float32
    tokenizer/          as transformers saves it
    model.json          ModelDescription; written last, so a folder that has one is whole
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pydantic import Field, ValidationError

from labeling.config import Config
from labeling.errors import ModelError
from training.encoder import Encoder, EncoderSpec

if TYPE_CHECKING:
    import torch
    from peft import PeftModel
    from transformers import PreTrainedModel

ADAPTER: Final = "adapter"
HEAD: Final = "head.safetensors"
TOKENIZER: Final = "tokenizer"
DESCRIPTION: Final = "model.json"


class ModelDescription(Config):
    """What a saved model is and where it comes from.

    ``labels`` are in the order of the head's rows. Logits are divided by ``temperature`` (> 0) before the softmax.
    ``encoder_digest`` is ``Encoder.digest`` of the encoder that the adapter was trained on.
    """

    schema_version: int = Field(default=1, ge=1, le=1)
    task: str
    labels: tuple[str, ...] = Field(min_length=2)
    temperature: float = Field(gt=0)
    recipe: dict[str, Any]
    training_set_id: str
    encoder: EncoderSpec
    encoder_digest: str


def save_model(
    folder: Path, *, adapter: "PeftModel", head: tuple[np.ndarray, np.ndarray], tokenizer: Any, model: ModelDescription
) -> None:
    """Write a model into ``folder``, which is made; files of an earlier, interrupted save are overwritten.

    Args:
        folder: where to.
        adapter: the encoder with its adapter, as trained, not merged.
        head: weight (labels, dimension) and bias (labels,).
        tokenizer: the encoder's.
        model: what it is.

    Raises:
        ModelError: the folder cannot be written (a full disk).
    """
    from safetensors.numpy import save_file

    weight, bias = (np.ascontiguousarray(part, dtype=np.float32) for part in head)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / DESCRIPTION).unlink(missing_ok=True)
        adapter.peft_config["default"].base_model_name_or_path = model.encoder.public_name
        adapter.save_pretrained(str(folder / ADAPTER), save_embedding_layers=False)
        _put_in_order(folder / ADAPTER / "adapter_config.json")
        (folder / ADAPTER / "README.md").unlink(missing_ok=True)  # PEFT's blank form, with a path of this machine in it
        tokenizer.save_pretrained(str(folder / TOKENIZER))
        save_file({"weight": weight, "bias": bias}, folder / HEAD)
        (folder / DESCRIPTION).write_text(model.model_dump_json(indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ModelError(
            f"a model cannot be written to {folder} ({error.strerror or type(error).__name__}): "
            "free some space or check the folder's rights, and train again"
        ) from error


def _put_in_order(config: Path) -> None:
    """Sort the module names, which PEFT writes as a set in an order of chance: the same model, the same bytes."""
    said = json.loads(config.read_text(encoding="utf-8"))
    said["target_modules"] = sorted(said["target_modules"])
    config.write_text(json.dumps(said, indent=2, sort_keys=True), encoding="utf-8")


def load_description(folder: Path) -> ModelDescription:
    """Read what the model in ``folder`` is.

    Raises:
        ModelError: there is no whole model in ``folder``, or it was written by another version of cxloop.
    """
    try:
        return ModelDescription.model_validate_json((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(
            f"a model is needed in {folder}, found no {DESCRIPTION} there: train it again, or name another folder"
        ) from None
    except (ValidationError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{DESCRIPTION} in {folder} is damaged or of another version: train again, or use the cxloop that wrote it"
        ) from error


def load_head(folder: Path, model: ModelDescription, dimension: int) -> tuple[np.ndarray, np.ndarray]:
    """Return weight (labels, dimension) and bias (labels,), float32.

    Raises:
        ModelError: the head is missing, damaged or does not fit its labels.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        stored: Mapping[str, np.ndarray] = load_file(folder / HEAD)
        weight, bias = stored["weight"], stored["bias"]
    except (OSError, SafetensorError, KeyError) as error:
        raise ModelError(f"{HEAD} in {folder} is missing or damaged ({type(error).__name__}): train again") from error
    if weight.shape != (len(model.labels), dimension) or bias.shape != (len(model.labels),):
        raise ModelError(
            f"{HEAD} in {folder} needs {len(model.labels)} labels by {dimension} features, "
            f"found {weight.shape}: train again"
        )
    return weight, bias


def load_adapter(folder: Path) -> "dict[str, torch.Tensor]":
    """Return the adapter's weights under PEFT's names.

    Raises:
        ModelError: the adapter is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(folder / ADAPTER / "adapter_model.safetensors")
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"the adapter in {folder} is missing or damaged ({type(error).__name__}): train from scratch"
        ) from error


def load_merged(folder: Path, encoder: Encoder) -> "PreTrainedModel":
    """Return the encoder's model with the adapter of ``folder`` merged in, ready to score.

    The encoder's own weights are changed in place: give it one of its own.

    Raises:
        ModelError: the adapter is missing, damaged or made for another encoder.
    """
    from peft import PeftModel
    from safetensors import SafetensorError

    try:
        adapted = PeftModel.from_pretrained(encoder.model, str(folder / ADAPTER))
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"the adapter in {folder} is missing, damaged or made for another encoder ({type(error).__name__}): "
            "train again"
        ) from error
    return adapted.merge_and_unload().eval()  # type: ignore[operator]
