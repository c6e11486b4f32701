"""A trained model as a folder of standard parts: a PEFT adapter, a head, a tokenizer, and what they belong to.

::

    adapter/              as PEFT saves it; ``PeftModel.from_pretrained`` loads it
    head.safetensors      the arrays of its head (training.heads, training.quadratic)
    tokenizer/            as transformers saves it
    novelty.safetensors   training.novelty's arrays, where the model has them
    training_set.json     what it learnt from: id, task and rows, without a text; where it was saved with its set
    first_reader.safetensors  training.first_reader's arrays, where the model has one
    int8/                 training.quantised's encoder, where the model answers in int8
    model.json            ModelDescription; written last, so a folder that has one is whole
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
from pydantic import Field, ValidationError

from labeling.config import Config
from labeling.errors import ModelError
from labeling.tables import TRAINING_SETS
from training.encoder import Encoder, EncoderSpec
from training.first_reader import FirstReader
from training.heads import Head, head_arrays, head_of, head_shape
from training.lexicon import LEXICON_WIDTHS, Lexicon
from training.novelty import Novelty
from training.recipe import Precision

if TYPE_CHECKING:
    import torch
    from peft import PeftModel
    from transformers import PreTrainedModel

    from training.training_set import TrainingSet

ADAPTER: Final = "adapter"
HEAD: Final = "head.safetensors"
TOKENIZER: Final = "tokenizer"
NOVELTY: Final = "novelty.safetensors"
MANIFEST: Final = "training_set.json"
FIRST_READER: Final = "first_reader.safetensors"
QUANTISED: Final = "int8"
DESCRIPTION: Final = "model.json"

_MANIFEST_COLUMNS: Final = ("interaction_id", "label", "weight", "text_digest", "split")


class ModelDescription(Config):
    """What a saved model is and where it comes from.

    ``labels`` are in the order of the head's rows. The last ``pooled_layers`` make its features, the numbers of
    ``lexicon`` stand beside them. Logits are divided by
    ``temperature`` (> 0) before the softmax. ``encoder_digest`` is ``Encoder.digest`` of the encoder that the adapter
    was trained on. ``precision`` is what the model answers in, and what its temperature was fitted in. ``files`` are
    the SHA-256 of the parts that not every model has, by their path in the folder; older folders name none.
    """

    schema_version: int = Field(default=1, ge=1, le=1)
    task: str
    labels: tuple[str, ...] = Field(min_length=2)
    temperature: float = Field(gt=0)
    recipe: dict[str, Any]
    training_set_id: str
    encoder: EncoderSpec
    encoder_digest: str
    pooled_layers: int = Field(default=1, ge=1)
    lexicon: Lexicon | None = None
    precision: Precision = "fp32"
    files: dict[str, str] = Field(default_factory=dict)


def save_model(
    folder: Path,
    *,
    adapter: "PeftModel",
    head: Head,
    tokenizer: Any,
    model: ModelDescription,
    novelty: Novelty | None = None,
    training_set: "TrainingSet | None" = None,
) -> None:
    """Write a model into ``folder``, which is made; files of an earlier, interrupted save are overwritten.

    Args:
        folder: where to.
        adapter: the encoder with its adapter, as trained, not merged.
        head: of as many labels as the model has.
        tokenizer: the encoder's.
        model: what it is.
        novelty: its novelty statistics; without, it says nothing of novelty.
        training_set: what it was trained on.

    Raises:
        ModelError: the folder cannot be written (a full disk).
    """
    from safetensors.numpy import save_file

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in (DESCRIPTION, NOVELTY, MANIFEST, FIRST_READER):
            (folder / name).unlink(missing_ok=True)
        shutil.rmtree(folder / QUANTISED, ignore_errors=True)
        adapter.peft_config["default"].base_model_name_or_path = model.encoder.public_name
        adapter.save_pretrained(str(folder / ADAPTER), save_embedding_layers=False)
        _put_in_order(folder / ADAPTER / "adapter_config.json")
        (folder / ADAPTER / "README.md").unlink(missing_ok=True)  # PEFT's blank form, with a path of this machine in it
        tokenizer.save_pretrained(str(folder / TOKENIZER))
        save_file({name: np.ascontiguousarray(part) for name, part in head_arrays(head).items()}, folder / HEAD)
        if novelty:
            save_file(novelty.arrays(), folder / NOVELTY)
        if training_set:
            (folder / MANIFEST).write_text(_as_manifest(training_set), encoding="utf-8")
        kept = {NOVELTY: novelty, MANIFEST: training_set}
        describe_model(folder, model, files=[name for name, part in kept.items() if part])
    except OSError as error:
        raise ModelError(
            f"a model cannot be written to {folder} ({error.strerror or type(error).__name__}): "
            "free some space or check the folder's rights, and train again"
        ) from error


def describe_model(folder: Path, model: ModelDescription, *, files: list[str]) -> ModelDescription:
    """Write what the model in ``folder`` is, with the digests of ``files``; the folder is whole then.

    Returns:
        The description as written.
    """
    about = model.model_copy(update={"files": {name: _sha256(folder / name) for name in sorted(files)}})
    fresh = folder / f"{DESCRIPTION}.partial"
    fresh.write_text(about.model_dump_json(indent=2) + "\n", encoding="utf-8")
    fresh.replace(folder / DESCRIPTION)
    return about


def check_file(folder: Path, model: ModelDescription, name: str) -> Path | None:
    """Return the path of the part called ``name``, None where this model was saved without.

    Raises:
        ModelError: it is missing or another than was saved.
    """
    if name not in model.files:
        return None
    found = _sha256(folder / name) if (folder / name).is_file() else "no file"
    if found != model.files[name]:
        raise ModelError(
            f"{name} in {folder} is missing or damaged (needed SHA-256 {model.files[name][:12]}…, found {found[:12]}): "
            "restore the folder, or train again"
        )
    return folder / name


def read_documents(folder: Path) -> dict[str, str]:
    """Return what a model's folder says in words: content by path, but for the tokenizer, which is the encoder's."""
    paths = [path for path in sorted(folder.rglob("*.json")) if path.parent.name != TOKENIZER]
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _as_manifest(training_set: "TrainingSet") -> str:
    """Return the set as JSON, one row a line: ids, labels and keyed digests, never a text."""
    about = {"training_set_id": training_set.training_set_id, "task": training_set.task}
    rows = training_set.rows.select(_MANIFEST_COLUMNS).sort("interaction_id").to_dicts()
    lines = ",\n".join(json.dumps(row, sort_keys=True) for row in rows)
    return f'{json.dumps(about)[:-1]}, "rows": [\n{lines}\n]}}\n'


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


def load_head(folder: Path, model: ModelDescription, dimension: int) -> Head:
    """Return the model's head, over features of ``model.pooled_layers * dimension`` numbers and the lexicon's.

    Raises:
        ModelError: the head is missing, damaged or does not fit its labels.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        head = head_of(load_file(folder / HEAD))
    except (OSError, SafetensorError, KeyError) as error:
        raise ModelError(f"{HEAD} in {folder} is missing or damaged ({type(error).__name__}): train again") from error
    needed = (len(model.labels), model.pooled_layers * dimension + LEXICON_WIDTHS[model.lexicon])
    if (found := head_shape(head)) != needed:
        raise ModelError(
            f"{HEAD} in {folder} needs {needed[0]} labels by {needed[1]} features, found {found}: train again"
        )
    return head


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


def load_novelty(folder: Path, model: ModelDescription) -> Novelty | None:
    """Return the model's novelty statistics, None where it was saved without.

    Raises:
        ModelError: they are missing or damaged.
    """
    from safetensors.numpy import load_file

    path = check_file(folder, model, NOVELTY)
    return Novelty.from_arrays(load_file(path)) if path else None


def load_first_reader(folder: Path, model: ModelDescription) -> FirstReader | None:
    """Return the model's first reader, None where it has none.

    Raises:
        ModelError: it is missing or damaged.
    """
    from safetensors.numpy import load_file

    path = check_file(folder, model, FIRST_READER)
    return FirstReader.from_arrays(load_file(path)) if path else None


def load_manifest(folder: Path, model: ModelDescription) -> pl.DataFrame | None:
    """Return the rows that the model was trained on, None where it was saved without its set.

    Returns:
        Columns ``interaction_id, label, weight, text_digest, split`` as in TRAINING_SETS, sorted by interaction.

    Raises:
        ModelError: the manifest is missing or damaged.
    """
    path = check_file(folder, model, MANIFEST)
    if path is None:
        return None
    schema = {name: TRAINING_SETS.schema[name] for name in _MANIFEST_COLUMNS}
    return pl.DataFrame(json.loads(path.read_text(encoding="utf-8"))["rows"], schema=schema)


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
