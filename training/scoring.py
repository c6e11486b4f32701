"""Score texts with a saved model: what it says of each, and how sure it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from labeling.errors import ModelError
from training.batches import Progress, plan_batches, tokenize
from training.encoder import load_encoder, pool_mean
from training.model_folder import TOKENIZER, ModelDescription, load_description, load_head, load_merged

if TYPE_CHECKING:
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
    """

    def __init__(
        self, model: "PreTrainedModel", tokenizer: Any, head: tuple[np.ndarray, np.ndarray], about: ModelDescription
    ) -> None:
        self.about = about
        self._model = model
        self._tokenizer = tokenizer
        self._weight, self._bias = head

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

    def score(self, texts: Sequence[str], on_progress: Progress | None = None) -> Scores:
        """Return calibrated probabilities of each text, in the order given; no texts give no rows."""
        return Scores(self.labels, softmax(self.logits(texts, on_progress), self.about.temperature))

    def logits(self, texts: Sequence[str], on_progress: Progress | None = None) -> np.ndarray:
        """Return what the head says before temperature and softmax, (n, labels) float32."""
        import torch

        tokens = tokenize(self._tokenizer, texts, max_tokens=self.about.encoder.max_tokens)
        logits = np.empty((len(texts), len(self.labels)), dtype=np.float32)
        done = 0
        with torch.inference_mode():
            for rows in plan_batches(tokens.lengths, batch_tokens=_BATCH_TOKENS):
                ids, mask = (part.to(self._model.device) for part in tokens.collate(rows))
                hidden = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
                logits[rows] = pool_mean(hidden, mask).cpu().numpy() @ self._weight.T + self._bias
                done += len(rows)
                if on_progress:
                    on_progress(done / len(texts), f"{done:,} of {len(texts):,} texts scored")
        return logits


def _load_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder / TOKENIZER)
    except Exception as error:  # damaged files raise what their parser raises
        raise ModelError(
            f"the tokenizer in {folder} is missing or damaged ({type(error).__name__}): train again"
        ) from error
