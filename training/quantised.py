"""A merged encoder in int8 for ONNX Runtime: about five times as fast as torch's fp32 on processors with VNNI.

The weights of every linear layer are rounded once, column by column; what flows through is rounded as it comes, with
one scale a batch (dynamic quantisation), so that a text's score hangs a little on the texts beside it. The layers below
the first adapted one are a file of their own: models that were trained on one encoder have it in common, and it runs
once for all of them.
"""

import importlib.util
import json
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from labeling.errors import ModelError
from training.encoder import pool_layers
from training.forward import CPU_BATCH_TOKENS
from training.layers import TopLayers, can_cut, cut_layers, first_told
from training.model_folder import ADAPTER, QUANTISED, ModelDescription, check_file, load_description

if TYPE_CHECKING:
    import torch

LOWER: Final = f"{QUANTISED}/lower.onnx"
UPPER: Final = f"{QUANTISED}/upper.onnx"

_OPSET: Final = 17


@dataclass(frozen=True)
class QuantisedEncoder:
    """An encoder in int8, loaded.

    Attributes:
        lower: what runs below the first adapted layer; None where the adapter begins at the bottom.
        lower_digest: its SHA-256, "" where there is none.
        upper: what makes the features.
        dimension: a feature's length.
    """

    lower: Any
    lower_digest: str
    upper: Any
    dimension: int


class QuantisedForward:
    """A ``training.forward.Forward`` in ONNX Runtime; encoders with the same lower part run it once."""

    def __init__(self, encoders: Sequence[QuantisedEncoder]) -> None:
        import torch

        self._encoders = encoders
        self.batch_tokens = CPU_BATCH_TOKENS
        self.splits_evenly = False
        self.threads = torch.get_num_threads()

    def __call__(self, ids: "torch.Tensor", mask: "torch.Tensor") -> list[np.ndarray]:
        """Return the features by encoder, as ``Forward`` has it."""
        numbers, known = ids.numpy(), mask.numpy()
        below = {"": numbers}
        for encoder in self._encoders:
            if encoder.lower_digest not in below:
                below[encoder.lower_digest] = _run(encoder.lower, numbers, known)
        return [_run(encoder.upper, below[encoder.lower_digest], known) for encoder in self._encoders]


def quantise(folder: Path, model: Any) -> list[str]:
    """Write the int8 encoder of the model in ``folder``.

    Args:
        folder: a model folder.
        model: its encoder in torch with the adapter merged in, on the processor; its attention is set to the plain one.

    Returns:
        The files that were written, by their path in ``folder``.

    Raises:
        ModelError: ``onnx`` or ``onnxruntime`` is not installed, or the encoder cannot be exported.
    """
    _need("onnx", "onnxruntime")
    model.set_attn_implementation("eager")
    pooled = load_description(folder).pooled_layers
    first = min(_first_adapted(folder), first_told(model.config.num_hidden_layers, pooled)) if can_cut(model) else 0
    (folder / UPPER).parent.mkdir(exist_ok=True)
    ids = np.array([[1, 2, 3], [1, 2, 0]])
    try:
        if not first:
            _export(folder / UPPER, TopLayers(model, pooled), "input_ids", ids, is_pooled=True)
            return [UPPER]
        hidden = np.zeros((*ids.shape, model.config.hidden_size), dtype=np.float32)
        lower = TopLayers(cut_layers(model, 0, first), 1)
        _export(folder / LOWER, lower, "input_ids", ids, is_pooled=False)
        upper = TopLayers(model, pooled, first=first)
        _export(folder / UPPER, upper, "inputs_embeds", hidden, is_pooled=True)
    except (RuntimeError, ValueError, TypeError) as error:  # what torch's tracer and the quantiser raise
        raise ModelError(
            f"an encoder in int8 needs one that torch.onnx can export, found that it cannot ({type(error).__name__}): "
            "set answers_in to fp32 or bf16 in the recipe"
        ) from error
    return [LOWER, UPPER]


def load_quantised(folder: Path, about: ModelDescription) -> QuantisedEncoder:
    """Load what ``quantise`` wrote into ``folder``.

    Raises:
        ModelError: a part is missing or damaged, or ONNX Runtime is not installed.
    """
    lower, upper = (check_file(folder, about, name) for name in (LOWER, UPPER))
    if upper is None:
        raise ModelError(f"the model in {folder} answers in int8, found no {UPPER} among its files: train again")
    session = _open(upper)
    return QuantisedEncoder(
        lower=_open(lower) if lower else None,
        lower_digest=about.files.get(LOWER, ""),
        upper=session,
        dimension=int(session.get_outputs()[0].shape[1]),
    )


def _export(path: Path, part: TopLayers, takes: str, taken: np.ndarray, *, is_pooled: bool) -> None:
    """Write ``part`` of an encoder in int8: what it takes and the mask in, features or hidden states out."""
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Part(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = torch.nn.ModuleList(part.parts)

        def forward(self, taken: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            states = part(mask, **{takes: taken})
            return pool_layers(states, mask) if is_pooled else states[-1]

    mask = np.array([[1, 1, 1], [1, 1, 0]])
    texts = {0: "texts", 1: "tokens"}
    with tempfile.TemporaryDirectory(prefix="cxloop-int8-") as work, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's, of branches that a model of this shape always takes alike
        plain = Path(work) / "plain.onnx"
        torch.onnx.export(
            Part().eval(),
            (torch.from_numpy(taken), torch.from_numpy(mask)),
            plain,
            dynamo=False,  # the newer exporter's graph has no node that ONNX Runtime fuses, and is a fifth slower
            opset_version=_OPSET,
            input_names=["taken", "mask"],
            output_names=["made"],
            dynamic_axes={"taken": texts, "mask": texts, "made": {0: "texts"} if is_pooled else texts},
        )
        ready = Path(work) / "ready.onnx"
        quant_pre_process(plain, ready, skip_optimization=True, skip_symbolic_shape=True)
        quantize_dynamic(ready, path, weight_type=QuantType.QInt8, per_channel=True)


def _open(path: Path) -> Any:
    """Return an ONNX Runtime session of one thread: batches run side by side instead."""
    _need("onnxruntime")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _run(session: Any, taken: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return session.run(None, {"taken": taken, "mask": mask})[0]


def _first_adapted(folder: Path) -> int:
    """Return the lowest layer that the adapter in ``folder`` changes; 0 where it says nothing of layers."""
    said = json.loads((folder / ADAPTER / "adapter_config.json").read_text(encoding="utf-8"))
    return min(said["layers_to_transform"] or [0])


def _need(*packages: str) -> None:
    if missing := [name for name in packages if importlib.util.find_spec(name) is None]:
        raise ModelError(
            f"answers in int8 need {' and '.join(missing)}, not found here: run `pip install cxloop[onnx]`, "
            "or set answers_in to fp32 or bf16 in the recipe and train again"
        )
