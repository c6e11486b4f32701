"""A part of an encoder's layers as a model of its own: what several models have in common is computed once."""

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def can_cut(model: Any) -> bool:
    """Whether ``model`` is ``embeddings`` followed by ``encoder.layer`` (BERT, RoBERTa, XLM-R, MPNet)."""
    return hasattr(model, "embeddings") and hasattr(getattr(model, "encoder", None), "layer")


def cut_layers(model: Any, first: int, last: int) -> Any:
    """Return the layers from ``first`` to before ``last`` as a model that shares the weights; ``can_cut`` must hold.

    From the bottom they have the embeddings below them; from higher up they take ``inputs_embeds``, what the layers
    below gave. ``model`` itself stays as it is, so its parts may run in several threads.
    """
    part = _view(model)
    part.encoder = _view(model.encoder)
    part.encoder.layer = model.encoder.layer[first:last]
    if first:
        part.embeddings = _pass_on()
    return part


class TopLayers:
    """A model of which the last ``count`` layers tell what they say; it runs from layer ``first`` on.

    Each of those layers is one of the ``parts``: what transformers itself records of a layer's output is recorded twice
    where two models share it. ``parts`` are they, from below.

    Args:
        model: where ``first`` is not 0, ``can_cut`` must hold.
        count: how many layers, from 1 to all that it has.
        first: at most ``first_told``.
    """

    def __init__(self, model: Any, count: int, *, first: int = 0) -> None:
        self.count = count
        depth = model.config.num_hidden_layers
        self._records = count > 1 and not can_cut(model)
        if self._records or count == 1:
            self.parts = [cut_layers(model, first, depth) if first else model]
        else:
            low = first_told(depth, count)
            self.parts = [cut_layers(model, first, low), *(cut_layers(model, at, at + 1) for at in range(low, depth))]

    def __call__(self, mask: "torch.Tensor", **taken: "torch.Tensor") -> "list[torch.Tensor]":
        """Return hidden states (n, tokens, d), the last layer's last.

        Args:
            mask: 1 for a token, 0 for padding, (n, tokens).
            taken: ``input_ids``, or ``inputs_embeds`` where it does not run from the bottom.
        """
        if self._records:
            output = self.parts[0](**taken, attention_mask=mask, output_hidden_states=True)
            return [*output.hidden_states[-self.count : -1], output.last_hidden_state]
        states: list[torch.Tensor] = []
        for part in self.parts:
            states.append(part(**taken, attention_mask=mask).last_hidden_state)
            taken = {"inputs_embeds": states[-1]}
        return states


def first_told(depth: int, count: int) -> int:
    """Return how many of ``depth`` layers lie below the last ``count`` outputs; no more may be cut off."""
    return depth - count + 1


def count_shared(models: Sequence[Any]) -> int:
    """Return how many layers from below (embeddings first) have the same weights in all ``models``; 0 where none do."""
    if not all(can_cut(model) for model in models):
        return 0
    first, *others = models
    if not all(_are_equal(first.embeddings, other.embeddings) for other in others):
        return 0
    shared = 0
    for layers in zip(*(model.encoder.layer for model in models), strict=False):
        if not all(_are_equal(layers[0], other) for other in layers[1:]):
            break
        shared += 1
    return shared


def _are_equal(one: "torch.nn.Module", other: "torch.nn.Module") -> bool:
    import torch

    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def _view(module: Any) -> Any:
    """Return a module with the same weights, whose parts can be replaced without touching ``module``."""
    view = copy.copy(module)
    view.__dict__["_modules"] = dict(module.__dict__["_modules"])
    return view


def _pass_on() -> "torch.nn.Module":
    """Return a module that stands where the embeddings were and hands on what it is given."""
    import torch

    class PassOn(torch.nn.Module):
        def forward(self, *_: Any, inputs_embeds: "torch.Tensor", **__: Any) -> "torch.Tensor":
            return inputs_embeds

    return PassOn()
