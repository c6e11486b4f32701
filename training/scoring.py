"""Score texts with a saved model: what it says of each, and how sure it is."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from labeling.errors import ModelError
from training.batches import Progress, Tokens, plan_batches, tokenize
from training.encoder import load_encoder, pool_mean
from training.heads import apply_head
from training.layers import count_shared, lower_layers, upper_layers
from training.model_folder import TOKENIZER, ModelDescription, load_description, load_head, load_merged

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

_BATCH_TOKENS = 2048


@dataclass(frozen=True)
class Scores:
    """What a model says of n texts: ``probabilities`` (n, labels) float32, each row summing to 1.

    A row sums to less where a label was retired since the model was trained (training.translated).
    """

    labels: tuple[str, ...]
    probabilities: np.ndarray

    def frame(self) -> pl.DataFrame:
        """Return one row a text, in order: ``label``, ``confidence`` in [0, 1] and ``margin`` in [0, 1].

        Confidence is the likeliest label's probability, margin that less the second likeliest's (0 where there is one).
        """
        top = self.probabilities.argmax(axis=1)
        two = self.probabilities if len(self.labels) > 1 else np.pad(self.probabilities, ((0, 0), (1, 0)))
        second, first = np.partition(two, -2, axis=1)[:, -2:].T.astype(np.float64)
        return pl.DataFrame(
            {
                "label": pl.Series(np.asarray(self.labels, dtype=object)[top].tolist(), dtype=pl.String),
                "confidence": first,
                "margin": first - second,
            }
        )


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Return the probabilities that ``logits`` (n, labels) mean at ``temperature`` (> 0), float32."""
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


class Scorer:
    """A saved model, loaded: its adapter is merged into the encoder, so scoring costs what the encoder costs.

    In float32, whatever the recipe trained in: a text's score then does not hang on the texts beside it
    (differences stay below 1e-5).

    Attributes:
        about: what it is.
        model: the encoder with the adapter merged in.
        head: weight (labels, dimension) and bias (labels,), float32.
    """

    def __init__(
        self, model: "PreTrainedModel", tokenizer: Any, head: tuple[np.ndarray, np.ndarray], about: ModelDescription
    ) -> None:
        self.about = about
        self.model = model
        self.head = head
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, folder: Path, *, device: str = "cpu") -> "Scorer":
        """Load the model that ``training.model_folder.save_model`` wrote into ``folder``.

        Raises:
            ModelError: the folder is not a whole model, or this machine's encoder is not the one it was trained on.
            EncoderError: the encoder is not on this machine.
        """
        about = load_description(folder)
        encoder = load_encoder(about.encoder, device=device)
        if encoder.digest != about.encoder_digest:
            raise ModelError(
                f"the model in {folder} needs encoder {about.encoder_digest[:12]}…, found {encoder.digest[:12]}…: "
                f"install the {about.encoder.name} encoder that it was trained on, or train again"
            )
        head = load_head(folder, about, encoder.dimension)
        return cls(load_merged(folder, encoder), _load_tokenizer(folder), head, about)

    @property
    def labels(self) -> tuple[str, ...]:
        """What this model can say, in the order of the columns of its probabilities."""
        return self.about.labels

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """Return ``texts`` as this model reads them."""
        return tokenize(self._tokenizer, texts, max_tokens=self.about.encoder.max_tokens)

    def score(self, texts: Sequence[str], on_progress: Progress | None = None) -> Scores:
        """Return calibrated probabilities of each text, in the order given; no texts give no rows."""
        return Scores(self.labels, softmax(self.logits(texts, on_progress), self.about.temperature))

    def logits(self, texts: Sequence[str], on_progress: Progress | None = None) -> np.ndarray:
        """Return what the head says before temperature and softmax, (n, labels) float32."""
        return _Shared([self]).logits(texts, on_progress)[0]


class JointScorer:
    """Several models that read the same texts: the layers that they have in common run once for all of them.

    Answers are those of each model alone.
    """

    def __init__(self, scorers: Mapping[str, Scorer]) -> None:
        alike: dict[str, list[str]] = {}
        for name, scorer in scorers.items():
            alike.setdefault(scorer.about.encoder_digest, []).append(name)
        self._scorers = dict(scorers)
        self._parts = [(names, _Shared([scorers[name] for name in names])) for names in alike.values()]

    def score(self, texts: Sequence[str], on_progress: Progress | None = None) -> dict[str, Scores]:
        """Return calibrated probabilities by model, each of every text in the order given."""
        logits: dict[str, np.ndarray] = {}
        for names, shared in self._parts:
            logits |= zip(names, shared.logits(texts, on_progress), strict=True)
        return {
            name: Scores(scorer.labels, softmax(logits[name], scorer.about.temperature))
            for name, scorer in self._scorers.items()
        }


class _Shared:
    """Scorers of one encoder: what lies below their first difference, and of each what lies above."""

    def __init__(self, scorers: Sequence[Scorer]) -> None:
        self._scorers = scorers
        models = [scorer.model for scorer in scorers]
        shared = count_shared(models) if len(models) > 1 else 0
        self._lower = lower_layers(models[0], shared) if shared else None
        self._upper = [upper_layers(model, shared) for model in models] if shared else models

    def logits(self, texts: Sequence[str], on_progress: Progress | None = None) -> list[np.ndarray]:
        """Return each scorer's ``Scorer.logits``."""
        import torch

        tokens = self._scorers[0].tokenize(texts)
        found = [np.empty((len(texts), len(scorer.labels)), dtype=np.float32) for scorer in self._scorers]
        done = 0
        with torch.inference_mode():
            for rows in plan_batches(tokens.lengths, batch_tokens=_BATCH_TOKENS):
                for logits, part in zip(found, self._run(*tokens.collate(rows)), strict=True):
                    logits[rows] = part
                done += len(rows)
                if on_progress:
                    on_progress(done / len(texts), f"{done:,} of {len(texts):,} texts scored")
        return found

    def _run(self, ids: "torch.Tensor", mask: "torch.Tensor") -> Iterator[np.ndarray]:
        device = self._scorers[0].model.device
        ids, mask = ids.to(device), mask.to(device)
        taken = {"input_ids": ids}
        if self._lower is not None:
            taken = {"inputs_embeds": self._lower(input_ids=ids, attention_mask=mask).last_hidden_state}
        for scorer, upper in zip(self._scorers, self._upper, strict=True):
            hidden = upper(**taken, attention_mask=mask).last_hidden_state
            yield apply_head(pool_mean(hidden, mask).cpu().numpy(), scorer.head)


def _load_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder / TOKENIZER)
    except Exception as error:  # damaged files raise what their parser raises
        raise ModelError(
            f"the tokenizer in {folder} is missing or damaged ({type(error).__name__}): train again"
        ) from error
