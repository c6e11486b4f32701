"""Tokens become features: the encoder's forward pass, in torch, with the layers that models have in common run once."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from training.batches import plan_even_batches
from training.encoder import pool_layers
from training.layers import TopLayers, count_shared, cut_layers, first_told

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from training.batches import Tokens

CPU_BATCH_TOKENS: Final = 512
"""What one layer makes of so many tokens stays in a core's cache; four times as many cost a quarter more a token."""

_GPU_BATCH_TOKENS: Final = 65_536


class Forward(Protocol):
    """One pass over texts for one or more models of one encoder; may be called from several threads at once.

    ``batch_tokens`` is how many tokens, padding included, to hand over at a time, ``threads`` from how many threads.
    ``splits_evenly``: whether batches may be cut smaller to keep all threads busy; not where a batch shares its scales.
    """

    batch_tokens: int
    threads: int
    splits_evenly: bool

    def __call__(self, ids: "torch.Tensor", mask: "torch.Tensor") -> Sequence[np.ndarray]:
        """Return of each model the feature of each text, (n, width) float32, each of length 1.

        Args:
            ids: token ids, (n, tokens).
            mask: 1 for a token, 0 for padding, (n, tokens).
        """
        ...


class TorchForward:
    """A ``Forward`` in torch; layers from below that have the same weights in all ``models`` run once for all.

    ``pooled`` says of each model how many layers make its features.
    """

    def __init__(self, models: "Sequence[PreTrainedModel]", *, pooled: Sequence[int], in_bf16: bool) -> None:
        depth = models[0].config.num_hidden_layers
        shared = min(count_shared(models), first_told(depth, max(pooled))) if len(models) > 1 else 0
        self._device = models[0].device
        self._in_bf16 = in_bf16
        self._lower = cut_layers(models[0], 0, shared) if shared else None
        self._upper = [TopLayers(model, count, first=shared) for model, count in zip(models, pooled, strict=True)]
        self.batch_tokens, self.threads = plan_passes(self._device)
        self.splits_evenly = True

    def __call__(self, ids: "torch.Tensor", mask: "torch.Tensor") -> list[np.ndarray]:
        """Return the features by model, as ``Forward`` has it."""
        import torch

        ids, mask = ids.to(self._device), mask.to(self._device)
        with torch.inference_mode(), torch.autocast(self._device.type, torch.bfloat16, enabled=self._in_bf16):
            taken = {"input_ids": ids}
            if self._lower is not None:
                taken = {"inputs_embeds": self._lower(input_ids=ids, attention_mask=mask).last_hidden_state}
            return [pool_layers(upper(mask, **taken), mask).cpu().numpy() for upper in self._upper]


def to_bf16(model: Any) -> Any:
    """Return ``model`` with the weights of its linear layers in bf16, changed in place.

    Autocast gives the same answers without, and makes those weights anew at every pass.
    """
    import torch

    for part in model.modules():
        if isinstance(part, torch.nn.Linear):
            part.to(torch.bfloat16)
    return model


def read_features(
    forward: Forward, tokens: "Tokens", widths: Sequence[int], on_rows: Callable[[int], None]
) -> list[np.ndarray]:
    """Return of each model the features of all texts, (n, its width) float32, in their order.

    Args:
        forward: the models.
        tokens: of the n texts.
        widths: how long each model's features are.
        on_rows: told after every batch how many texts it held.
    """
    found = [np.empty((len(tokens.ids), width), dtype=np.float32) for width in widths]
    threads = forward.threads if forward.splits_evenly else 1
    batches = plan_even_batches(tokens.lengths, batch_tokens=forward.batch_tokens, threads=threads)

    def run(rows: np.ndarray) -> int:
        for features, part in zip(found, forward(*tokens.collate(rows)), strict=True):
            features[rows] = part
        return len(rows)

    for count in side_by_side(run, batches, threads=forward.threads):
        on_rows(count)
    return found


def plan_passes(device: "torch.device") -> tuple[int, int]:
    """Return how many tokens to hand to a model on ``device`` at a time, padding included, and from how many threads.

    On a processor one batch a core costs less than to cut every small matrix product in parts.
    """
    import torch

    return (CPU_BATCH_TOKENS, torch.get_num_threads()) if device.type == "cpu" else (_GPU_BATCH_TOKENS, 1)


def side_by_side(run: Callable[[Any], Any], batches: Sequence[Any], *, threads: int) -> Iterator[Any]:
    """Yield what ``run`` makes of each batch, in order, from ``threads`` threads that have one thread of torch's each.

    What torch keeps by thread (inference mode, autocast) ``run`` has to enter itself.
    """
    if min(threads, len(batches)) < 2:
        yield from map(run, batches)
        return
    from concurrent.futures import ThreadPoolExecutor

    import torch

    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield from pool.map(run, batches)
    finally:
        torch.set_num_threads(before)  # what a worker sets is what threads begun later start with
