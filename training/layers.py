"""A part of an encoder's layers as a model of its own: what several models have in common is computed once."""

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def can_cut(model: Any) -> bool:
    """Whether ``model`` is ``embeddings`` followed by ``encoder.layer`` (BERT, RoBERTa, XLM-R, MPNet)."""
    return hasattr(model, "embeddings") and hasattr(getattr(model, "encoder", None), "layer")


def lower_layers(model: Any, count: int) -> Any:
    """Return the embeddings and the first ``count`` layers as a model that shares the weights; ``can_cut`` must hold.

    ``model`` itself stays as it is, so its parts may run in several threads.
    """
    part = _view(model)
    part.encoder = _view(model.encoder)
    part.encoder.layer = model.encoder.layer[:count]
    return part


def upper_layers(model: Any, first: int) -> Any:
    """Return the layers from ``first`` on, likewise; they take ``inputs_embeds``, what ``lower_layers`` gave."""
    part = _view(model)
    part.encoder = _view(model.encoder)
    part.encoder.layer = model.encoder.layer[first:]
    part.embeddings = _pass_on()
    return part


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
