"""The encoder with a LoRA adapter on its top layers; what lies below is computed once a text."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from labeling.errors import TrainingError
from training.batches import Tokens, plan_batches, tokenize
from training.encoder import Encoder, pool_mean
from training.layers import can_cut, lower_layers, upper_layers
from training.recipe import LoraRecipe

if TYPE_CHECKING:
    import torch

_BATCH_TOKENS = 2048


class AdaptedEncoder:
    """An encoder under training: takes texts in once, then gives their features as the adapter changes.

    The layers below the first adapted one never change, so their output is computed once a text and kept (4 bytes
    times dimension a token). This works for encoders that are ``embeddings`` followed by ``encoder.layer`` (BERT,
    RoBERTa, XLM-R, MPNet); of any other, nothing is kept and each step runs the whole encoder.

    The encoder's model is changed in place: give it one of its own.

    Raises:
        TrainingError: the encoder has no linear layers of the names that the recipe adapts.
    """

    def __init__(self, encoder: Encoder, lora: LoraRecipe, *, seed: int) -> None:
        self._encoder = encoder
        self._model: Any = encoder.model
        self.adapter = _add_lora(encoder, lora, seed)
        first = max(0, encoder.model.config.num_hidden_layers - lora.layers)
        can_keep = can_cut(self._model)
        self._lower = lower_layers(self._model, first) if can_keep else None
        self._upper = upper_layers(self._model, first) if can_keep else None
        self._tokens = Tokens((), 0)
        self._below: list[torch.Tensor] = []
        self._fresh = self.state()

    @property
    def parameters(self) -> "list[torch.nn.Parameter]":
        """The adapter's weights, all that training moves here."""
        return [weight for weight in self.adapter.parameters() if weight.requires_grad]

    @property
    def lengths(self) -> np.ndarray:
        """The tokens of each text taken in, (n,)."""
        return self._tokens.lengths

    def take_in(self, texts: Sequence[str]) -> None:
        """Tokenise ``texts`` and run the layers below the adapter over them; replaces what was taken in before."""
        import torch

        encoder = self._encoder
        self._tokens = tokenize(encoder.tokenizer, texts, max_tokens=encoder.spec.max_tokens)
        self._below = [torch.empty(0)] * len(texts)
        if self._lower is None:
            return
        self.adapter.eval()
        lengths = self.lengths
        with torch.inference_mode():
            for rows in plan_batches(lengths, batch_tokens=_BATCH_TOKENS):
                ids, mask = self._collate(rows)
                hidden = self._lower(input_ids=ids, attention_mask=mask).last_hidden_state.cpu()
                for place, row in enumerate(rows):
                    self._below[row] = hidden[place, : lengths[row]].clone()

    def encode(self, rows: np.ndarray) -> "torch.Tensor":
        """Return the features of ``rows`` as the adapter makes them now, (len(rows), d) float32, each of length 1."""
        ids, mask = self._collate(rows)
        if self._upper is None:
            return pool_mean(self._model(input_ids=ids, attention_mask=mask).last_hidden_state, mask)
        hidden = self._upper(inputs_embeds=self._stack(rows, mask), attention_mask=mask).last_hidden_state
        return pool_mean(hidden, mask)

    def features(self, rows: np.ndarray | None = None, *, in_bf16: bool = False) -> np.ndarray:
        """Return the features of ``rows`` (all taken in by default), (len(rows), d) float32, outside of training.

        ``in_bf16`` is twice as fast, good to two digits or three: to compare epochs by, not to fit what is kept.
        """
        import torch

        wanted = np.arange(len(self._tokens.ids)) if rows is None else rows
        features = np.empty((len(wanted), self._encoder.dimension), dtype=np.float32)
        self.adapter.eval()
        with torch.inference_mode(), torch.autocast(self._model.device.type, torch.bfloat16, enabled=in_bf16):
            for batch in plan_batches(self.lengths[wanted], batch_tokens=_BATCH_TOKENS):
                features[batch] = self.encode(wanted[batch]).cpu().numpy()
        return features

    def state(self) -> "list[torch.Tensor]":
        """Return a copy of the adapter's weights."""
        return [weight.detach().clone() for weight in self.parameters]

    def restore(self, state: "list[torch.Tensor] | None" = None) -> None:
        """Put back the weights that ``state`` returned; the weights as they were first made, by default."""
        import torch

        with torch.no_grad():
            for weight, stored in zip(self.parameters, self._fresh if state is None else state, strict=True):
                weight.copy_(stored)

    def _collate(self, rows: np.ndarray) -> "tuple[torch.Tensor, torch.Tensor]":
        ids, mask = self._tokens.collate(rows)
        device = self._model.device
        return ids.to(device), mask.to(device)

    def _stack(self, rows: np.ndarray, mask: "torch.Tensor") -> "torch.Tensor":
        hidden = mask.new_zeros((*mask.shape, self._encoder.dimension), dtype=self._below[rows[0]].dtype)
        for place, row in enumerate(rows):
            kept = self._below[row]
            hidden[place, : len(kept)] = kept
        return hidden


def _add_lora(encoder: Encoder, lora: LoraRecipe, seed: int) -> Any:
    import torch
    from peft import LoraConfig, get_peft_model

    depth = encoder.model.config.num_hidden_layers
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]
        lora_dropout=lora.dropout,
        target_modules=list(lora.target_modules),
        layers_to_transform=list(range(max(0, depth - lora.layers), depth)),
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        try:
            return get_peft_model(encoder.model, config)
        except ValueError as error:
            raise TrainingError(
                f"encoder {encoder.spec.name} needs linear layers called {', '.join(lora.target_modules)}, found none: "
                "name its own in lora.target_modules of the recipe"
            ) from error
