"""The encoder with a LoRA adapter on its top layers; what lies below is computed once a text."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from labeling.errors import ModelError, TrainingError
from training.activations import ActivationCache
from training.batches import Tokens, plan_batches, tokenize
from training.encoder import Encoder, pool_layers
from training.forward import TorchForward, plan_passes, read_features, side_by_side
from training.layers import TopLayers, can_cut, cut_layers, first_told
from training.lexicon import LEXICON_WIDTHS, Lexicon, add_lexicon
from training.recipe import LoraRecipe
from training.team import Team

if TYPE_CHECKING:
    import torch

_LARGEST = 65504.0
"""The largest number in float16."""


class AdaptedEncoder:
    """An encoder under training: takes texts in once, then gives their features as the adapter changes.

    The layers below the first adapted one never change, so their output is computed once a text and kept in float16 (2
    bytes times dimension a token): in memory for this training, in ``cache`` for later ones. It is rounded whether it
    was kept or not, so a warm cache changes a result no more than other texts in its batch would. This works for
    encoders that are ``embeddings`` followed by ``encoder.layer`` (BERT, RoBERTa, XLM-R, MPNet); of any other, and
    where every layer is adapted, nothing is kept and each step runs the whole encoder.

    With a ``lexicon`` its numbers of a text stand beside what the encoder says: they are the end of a feature, and no
    part of what steps are taken on, or the encoder would learn what is left to say beside them.

    Where ``takes_steps`` is false the adapter stays as it is and changes nothing, so that the whole encoder lies below
    it: kept, in float16 likewise, is what it says of each text.

    The encoder's model is changed in place: give it one of its own. With ``in_bf16`` it runs in bf16, more than twice
    as fast where the processor multiplies that natively; a head fitted on such features is worth the same to answers
    in fp32 (docs/training.md).

    Raises:
        TrainingError: the encoder has no linear layers of the names that the recipe adapts, or fewer layers than are
            to be pooled.
    """

    def __init__(
        self,
        encoder: Encoder,
        lora: LoraRecipe,
        *,
        seed: int,
        pooled_layers: int = 1,
        in_bf16: bool = False,
        takes_steps: bool = True,
        lexicon: Lexicon | None = None,
        cache: ActivationCache | None = None,
        team: Team | None = None,
    ) -> None:
        self.encoder = encoder
        self._model: Any = encoder.model
        self._cache, self._team = cache, team or Team(encoder.model.device.type)
        self.adapter = _add_lora(encoder, lora, seed)
        self.pooled_layers, self.in_bf16 = pooled_layers, in_bf16
        self.lexicon: Lexicon | None = lexicon
        depth = encoder.model.config.num_hidden_layers
        if pooled_layers > depth:
            raise TrainingError(
                f"encoder {encoder.spec.name} has {depth} layers, pooled_layers asks for {pooled_layers}: "
                f"set it to {depth} or fewer in the recipe"
            )
        self._first = min(max(0, depth - lora.layers), first_told(depth, pooled_layers))
        can_keep = self._first > 0 and can_cut(self._model)
        self._lower = cut_layers(self._model, 0, self._first) if can_keep else None
        self._upper = TopLayers(self._model, pooled_layers, first=self._first if can_keep else 0)
        self._tokens = Tokens((), 0)
        self._below: torch.Tensor | None = None
        self._starts = np.zeros(0, dtype=np.int64)
        self._still: np.ndarray | None = None
        self._beside = np.zeros((0, LEXICON_WIDTHS[lexicon]), dtype=np.float32)
        self._takes_steps = takes_steps
        self._fresh = self.state()

    @property
    def parameters(self) -> "list[torch.nn.Parameter]":
        """The adapter's weights, all that training moves here."""
        return [weight for weight in self.adapter.parameters() if weight.requires_grad]

    @property
    def width(self) -> int:
        """How many numbers a feature has."""
        return self.told_width + LEXICON_WIDTHS[self.lexicon]

    @property
    def told_width(self) -> int:
        """How many of them, the first ones, the encoder says."""
        return self.pooled_layers * self.encoder.dimension

    @property
    def lengths(self) -> np.ndarray:
        """The tokens of each text taken in, (n,)."""
        return self._tokens.lengths

    def take_in(self, texts: Sequence[str], on_texts: Callable[[int], None] = lambda _: None) -> None:
        """Run the layers below the adapter over those of ``texts`` that no cache holds.

        Replaces what was taken in before. ``on_texts`` is told after every batch how many texts it held.
        """
        if not self._takes_steps:
            self._still = add_lexicon(self._read(texts, on_texts), texts, self.lexicon)
            return
        self._beside = add_lexicon(np.zeros((len(texts), 0), dtype=np.float32), texts, self.lexicon)
        self._tokens = tokenize(self.encoder.tokenizer, texts, max_tokens=self.encoder.spec.max_tokens)
        if self._lower is not None:
            self._take_in_below(texts, on_texts)

    def _read(self, texts: Sequence[str], on_texts: Callable[[int], None]) -> np.ndarray:
        """Return what the encoder says of ``texts``, (n, told_width) float32, running it where no cache holds that."""
        import torch

        depth = self._model.config.num_hidden_layers
        source = f"{self._source} {self.pooled_layers}"
        names = self._cache.digests(texts) if self._cache else [str(row) for row in range(len(texts))]
        known = self._cache.find(source, depth, names) if self._cache else {}
        missing = {name: text for name, text in zip(names, texts, strict=True) if name not in known}
        tokens = tokenize(self.encoder.tokenizer, list(missing.values()), max_tokens=self.encoder.spec.max_tokens)
        forward = TorchForward([self._model], pooled=[self.pooled_layers], in_bf16=self.in_bf16)
        [found] = read_features(forward, tokens, [self.told_width], on_texts)
        rounded = torch.from_numpy(found).to(torch.float16)
        fresh = {name: rounded[row : row + 1] for row, name in enumerate(missing)}
        if self._cache and self._team.is_first:
            self._cache.keep(source, depth, fresh)
        said = known | fresh
        return torch.cat([said[name] for name in names]).to(torch.float32).numpy()

    @property
    def _source(self) -> str:
        return f"{self.encoder.digest} {'bf16' if self.in_bf16 else 'fp32'}"

    def _take_in_below(self, texts: Sequence[str], on_texts: Callable[[int], None]) -> None:
        import torch

        ends = np.cumsum(self.lengths)
        self._starts = ends - self.lengths
        below = torch.empty((int(ends[-1]) if len(ends) else 0, self.encoder.dimension), dtype=torch.float16)
        names = self._cache.digests(texts) if self._cache else []
        known = self._cache.find(self._source, self._first, names) if self._cache else {}
        for row, name in enumerate(names):
            if name in known:
                below[self._starts[row] : ends[row]] = known[name]
        missing = np.array([row for row in range(len(texts)) if not names or names[row] not in known], dtype=np.int64)
        self._compute_below(missing, below, on_texts)
        if self._cache and self._team.is_first:
            fresh = {names[row]: below[self._starts[row] : ends[row]] for row in missing}
            self._cache.keep(self._source, self._first, fresh)
        self._below = below.to(self._model.device)

    def _compute_below(self, rows: np.ndarray, below: "torch.Tensor", on_texts: Callable[[int], None]) -> None:
        import torch

        lower = self._lower
        assert lower is not None  # noqa: S101  (its caller asks for it only then)

        @torch.inference_mode()
        def run(batch: np.ndarray) -> int:
            ids, mask = self._collate(rows[batch])
            with self.autocast():
                hidden = lower(input_ids=ids, attention_mask=mask).last_hidden_state
            states = hidden[mask.bool()].clamp(-_LARGEST, _LARGEST).to(torch.float16)
            below[self._tokens_of(rows[batch])] = states.to(below.device)
            return len(batch)

        for count in self._run(run, self._batches(rows)):
            on_texts(count)

    def autocast(self) -> "torch.autocast":
        """Return what its layers run in, to be entered by each thread that runs them."""
        import torch

        return torch.autocast(self._model.device.type, torch.bfloat16, enabled=self.in_bf16)

    def encode(self, rows: np.ndarray) -> "torch.Tensor":
        """Return what the encoder says of ``rows`` as it is now, (len(rows), told_width) float32, each of length 1."""
        ids, mask = self._collate(rows)
        taken = {"input_ids": ids} if self._lower is None else {"inputs_embeds": self._stack(rows, mask)}
        return pool_layers(self._upper(mask, **taken), mask)

    def features(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Return the features of ``rows``, all by default, (len(rows), width) float32, outside of training."""
        import torch

        if self._still is not None:
            return self._still if rows is None else self._still[rows]
        wanted = np.arange(len(self._tokens.ids)) if rows is None else rows
        features = torch.zeros((len(wanted), self.told_width), device=self._model.device)

        def run(batch: np.ndarray) -> int:
            with torch.inference_mode(), self.autocast():
                features[torch.from_numpy(batch)] = self.encode(wanted[batch]).to(torch.float32)
            return len(batch)

        deque(self._run(run, self._team.share(self._batches(wanted))), maxlen=0)
        return np.hstack([self._team.add_up(features).cpu().numpy(), self._beside[wanted]])

    def _batches(self, rows: np.ndarray) -> list[np.ndarray]:
        batch_tokens, _ = plan_passes(self._model.device)
        return plan_batches(self.lengths[rows], batch_tokens=batch_tokens)

    def _run(self, run: Callable[[np.ndarray], int], batches: Sequence[np.ndarray]) -> Iterator[int]:
        """Run batches outside of training, and yield what comes of each."""
        _, threads = plan_passes(self._model.device)
        self.adapter.eval()
        return side_by_side(run, batches, threads=threads)

    def state(self) -> "list[torch.Tensor]":
        """Return a copy of the adapter's weights."""
        return [weight.detach().clone() for weight in self.parameters]

    def arrange(self, weights: "Mapping[str, torch.Tensor]") -> "list[torch.Tensor]":
        """Return ``weights``, which PEFT saved under its names, in the order of ``state``.

        Raises:
            ModelError: they are of another adapter.
        """
        names = [name.replace(".default.", ".") for name, one in self.adapter.named_parameters() if one.requires_grad]
        shapes = [weight.shape for weight in self.parameters]
        if [getattr(weights.get(name), "shape", None) for name in names] != shapes:
            raise ModelError(
                f"a warm start needs {len(names)} weights of the shapes of this recipe's adapter, found others: "
                "train from scratch"
            )
        return [weights[name] for name in names]

    def restore(self, state: "Sequence[torch.Tensor] | None" = None) -> None:
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
        import torch

        assert self._below is not None  # noqa: S101  (texts are taken in before they are encoded)
        hidden = mask.new_zeros((*mask.shape, self.encoder.dimension), dtype=torch.float32)
        hidden[mask.bool()] = self._below[self._tokens_of(rows)].to(torch.float32)
        return hidden

    def _tokens_of(self, rows: np.ndarray) -> "torch.Tensor":
        """Return where the tokens of ``rows`` lie among those of all texts, one text after the other."""
        import torch

        lengths = self.lengths[rows]
        begins = np.cumsum(lengths) - lengths
        return torch.from_numpy(np.arange(lengths.sum()) + np.repeat(self._starts[rows] - begins, lengths))


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
