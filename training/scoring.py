"""Score texts with a saved model: what it says of each, and how sure it is."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from labeling.errors import ModelError
from training.batches import Progress, tokenize
from training.encoder import load_encoder
from training.first_reader import FirstReader
from training.forward import Forward, TorchForward, read_features, to_bf16
from training.heads import Head, apply_head, head_shape
from training.lexicon import LEXICON_WIDTHS, Lexicon, add_lexicon
from training.model_folder import (
    TOKENIZER,
    ModelDescription,
    load_description,
    load_first_reader,
    load_head,
    load_merged,
    load_novelty,
)
from training.novelty import Novelty
from training.quantised import QuantisedEncoder, QuantisedForward, load_quantised
from training.recipe import uses_bf16

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_CHUNK_TEXTS: Final = 4096
_CHUNK_CHARACTERS: Final = 4_000_000
"""Texts are taken in so many at a time: enough to find texts of like length, few enough for a small memory."""


@dataclass(frozen=True)
class Scores:
    """What a model says of n texts: ``probabilities`` (n, labels) float32, each row summing to 1.

    A row sums to less where a label was retired since the model was trained (training.translated). ``novelty`` (n,)
    float32 is ``Novelty.measure``, None of a model that was saved without novelty statistics, NaN of a text that the
    model's first reader answered: it is like texts that were trained on, and was not read further.
    """

    labels: tuple[str, ...]
    probabilities: np.ndarray
    novelty: np.ndarray | None = None

    def frame(self) -> pl.DataFrame:
        """Return one row a text, in order: ``label``, ``confidence`` and ``margin``, each in [0, 1], and ``novelty``.

        Confidence is the likeliest label's probability, margin that less the second likeliest's (0 where there is
        one); novelty is null where there is none.
        """
        top = self.probabilities.argmax(axis=1)
        two = self.probabilities if len(self.labels) > 1 else np.pad(self.probabilities, ((0, 0), (1, 0)))
        novelty = np.full(len(top), np.nan) if self.novelty is None else self.novelty.astype(np.float64)
        second, first = np.partition(two, -2, axis=1)[:, -2:].T.astype(np.float64)
        return pl.DataFrame(
            {
                "label": pl.Series(np.asarray(self.labels, dtype=object)[top].tolist(), dtype=pl.String),
                "confidence": first,
                "margin": first - second,
                "novelty": pl.Series(novelty, dtype=pl.Float64).fill_nan(None),
            }
        )


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Return the probabilities that ``logits`` (n, labels) mean at ``temperature`` (> 0), float32."""
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


class Scorer:
    """A saved model, loaded: its adapter is merged into the encoder, so scoring costs what the encoder costs.

    In fp32 a text's score does not hang on the texts beside it (differences stay below 1e-5); in bf16 it does by some
    1e-3, in int8, where a batch shares its scales, by some 1e-2 (training.quantised).

    Attributes:
        about: what it is.
        encoder: the encoder with the adapter merged in.
        head: weight (labels, dimension) and bias (labels,), float32.
        novelty: what novelty is measured by; None where the model was saved without.
        first_reader: what answers where it is sure, so that the encoder need not run; None where there is none.
    """

    def __init__(
        self,
        encoder: "PreTrainedModel | QuantisedEncoder",
        tokenizer: Any,
        head: Head,
        about: ModelDescription,
        *,
        novelty: Novelty | None = None,
        first_reader: FirstReader | None = None,
    ) -> None:
        self.about = about
        self.encoder = encoder
        self.head = head
        self.novelty = novelty
        self.first_reader = first_reader
        self.tokenizer = tokenizer

    @classmethod
    def load(cls, folder: Path, *, device: str = "cpu") -> "Scorer":
        """Load the model that ``training.model_folder.save_model`` wrote into ``folder``.

        A model that answers in int8 runs on the processor, whatever the ``device``, and needs no encoder beside it.

        Raises:
            ModelError: the folder is not a whole model, this machine's encoder is not the one it was trained on, or
                it answers in int8 and ONNX Runtime is not installed.
            EncoderError: the encoder is not on this machine.
        """
        about = load_description(folder)
        tokenizer = _load_tokenizer(folder)
        parts: Any = {"novelty": load_novelty(folder, about), "first_reader": load_first_reader(folder, about)}
        if about.precision == "int8":
            quantised = load_quantised(folder, about)
            head = load_head(folder, about, quantised.dimension // about.pooled_layers)
            return cls(quantised, tokenizer, head, about, **parts)
        encoder = load_encoder(about.encoder, device=device)
        if encoder.digest != about.encoder_digest:
            raise ModelError(
                f"the model in {folder} needs encoder {about.encoder_digest[:12]}…, found {encoder.digest[:12]}…: "
                f"install the {about.encoder.name} encoder that it was trained on, or train again"
            )
        head = load_head(folder, about, encoder.dimension)
        merged = load_merged(folder, encoder)
        return cls(to_bf16(merged) if _reads_in_bf16(about, merged) else merged, tokenizer, head, about, **parts)

    @property
    def told_width(self) -> int:
        """How many numbers of a feature, the first ones, the encoder says."""
        return head_shape(self.head)[1] - LEXICON_WIDTHS[self.about.lexicon]

    @property
    def labels(self) -> tuple[str, ...]:
        """What this model can say, in the order of the columns of its probabilities."""
        return self.about.labels

    def score(self, texts: Sequence[str], on_progress: Progress | None = None) -> Scores:
        """Return calibrated probabilities of each text, in the order given; no texts give no rows."""
        return JointScorer({"": self}).score(texts, on_progress)[""]

    def stream(self, texts: Iterable[str]) -> Iterator[Scores]:
        """Yield the scores of any number of texts part by part, in the order given, in a memory that does not grow."""
        return (scores[""] for scores in JointScorer({"": self}).stream(texts))

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """Return what the head says before temperature and softmax, (n, labels) float32, of every text."""
        return self.read(texts)[1]

    def read(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return what the encoder says (n, dimension), each of length 1, and logits (n, labels), both float32."""
        features = _Together([self]).read(texts, lambda _: None)[0]
        return features[:, : self.told_width], apply_head(features, self.head)

    def weigh(self, features: np.ndarray) -> Scores:
        """Return the scores of texts by their features, (n, dimension and the lexicon's numbers)."""
        logits = apply_head(features, self.head)
        novelty = self.novelty.measure(features[:, : self.told_width], logits) if self.novelty else None
        return Scores(self.labels, softmax(logits, self.about.temperature), novelty)


class JointScorer:
    """Several models that read the same texts: the layers that they have in common run once for all of them.

    Answers are those of each model alone.
    """

    def __init__(self, scorers: Mapping[str, Scorer]) -> None:
        alike: dict[tuple[str, str], list[str]] = {}
        for name, scorer in scorers.items():
            alike.setdefault((scorer.about.encoder_digest, scorer.about.precision), []).append(name)
        self._scorers = dict(scorers)
        self._parts = [(names, _Together([scorers[name] for name in names])) for names in alike.values()]

    def score(self, texts: Sequence[str], on_progress: Progress | None = None) -> dict[str, Scores]:
        """Return calibrated probabilities by model, each of every text in the order given."""
        done, work = 0, len(texts) * len(self._parts)

        def count(rows: int) -> None:
            nonlocal done
            done += rows
            if on_progress and rows:
                on_progress(done / work, f"{done * len(texts) // work:,} of {len(texts):,} texts scored")

        parts = [self._score(chunk, count) for chunk in cut_chunks(texts)] or [self._score([], count)]
        return {name: _join([part[name] for part in parts]) for name in self._scorers}

    def stream(self, texts: Iterable[str]) -> Iterator[dict[str, Scores]]:
        """Yield ``score`` of any number of texts part by part, in the order given, in a memory that does not grow."""
        return (self._score(chunk, lambda _: None) for chunk in cut_chunks(texts))

    def _score(self, chunk: Sequence[str], on_rows: Callable[[int], None]) -> dict[str, Scores]:
        readers = {name: scorer.first_reader for name, scorer in self._scorers.items() if scorer.first_reader}
        first = {name: reader.read(chunk) for name, reader in readers.items()}
        sure = dict.fromkeys(self._scorers, np.zeros(len(chunk), dtype=bool))
        sure |= {name: reader.is_sure(first[name]) for name, reader in readers.items()}
        found: dict[str, Scores] = {}
        for names, together in self._parts:
            rows = np.flatnonzero(~np.logical_and.reduce([sure[name] for name in names]))
            on_rows(len(chunk) - len(rows))
            features = together.read([chunk[int(row)] for row in rows], on_rows)
            for name, part in zip(names, features, strict=True):
                scores = self._scorers[name].weigh(part)
                found[name] = _put_together(first[name], sure[name], rows, scores) if name in first else scores
        return {name: found[name] for name in self._scorers}


def cut_chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    """Cut ``texts`` into parts of 4,096 texts, fewer where they are long, so that tokenising one fits in memory."""
    chunk: list[str] = []
    room = _CHUNK_CHARACTERS
    for text in texts:
        chunk.append(text)
        room -= len(text)
        if len(chunk) == _CHUNK_TEXTS or room <= 0:
            yield chunk
            chunk, room = [], _CHUNK_CHARACTERS
    if chunk:
        yield chunk


class _Together:
    """Scorers of one encoder and one precision, whose tokens are the same."""

    def __init__(self, scorers: Sequence[Scorer]) -> None:
        self._about, self._tokenizer = scorers[0].about, scorers[0].tokenizer
        self._widths = [scorer.told_width for scorer in scorers]
        self._lexicons: list[Lexicon | None] = [scorer.about.lexicon for scorer in scorers]
        self._forward = _join_encoders(scorers)

    def read(self, texts: Sequence[str], on_rows: Callable[[int], None]) -> list[np.ndarray]:
        """Return of each scorer the features of ``texts``, (n, width); ``on_rows`` hears of each batch's rows."""
        tokens = tokenize(self._tokenizer, texts, max_tokens=self._about.encoder.max_tokens)
        told = read_features(self._forward, tokens, self._widths, on_rows)
        return [add_lexicon(one, texts, lexicon) for one, lexicon in zip(told, self._lexicons, strict=True)]


def _join_encoders(scorers: Sequence[Scorer]) -> Forward:
    encoders = [scorer.encoder for scorer in scorers]
    quantised = [encoder for encoder in encoders if isinstance(encoder, QuantisedEncoder)]
    if quantised:
        return QuantisedForward(quantised)
    models: list[Any] = list(encoders)
    pooled = [scorer.about.pooled_layers for scorer in scorers]
    return TorchForward(models, pooled=pooled, in_bf16=_reads_in_bf16(scorers[0].about, models[0]))


def _reads_in_bf16(about: ModelDescription, model: Any) -> bool:
    """Whether a model that answers in bf16 does so here: where that is no faster, fp32 says the same."""
    return about.precision == "bf16" and uses_bf16("auto", model.device.type)


def _put_together(first: np.ndarray, sure: np.ndarray, rows: np.ndarray, scores: Scores) -> Scores:
    """Return what the first reader said where it is sure, and ``scores``, which are of ``rows``, elsewhere."""
    unsure = ~sure[rows]
    first[rows[unsure]] = scores.probabilities[unsure]
    if scores.novelty is None:
        return Scores(scores.labels, first)
    novelty = np.full(len(first), np.nan, dtype=np.float32)
    novelty[rows[unsure]] = scores.novelty[unsure]
    return Scores(scores.labels, first, novelty)


def _join(parts: Sequence[Scores]) -> Scores:
    novelty = [part.novelty for part in parts if part.novelty is not None]
    return Scores(
        parts[0].labels,
        np.concatenate([part.probabilities for part in parts]),
        np.concatenate(novelty) if novelty else None,
    )


def _load_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder / TOKENIZER)
    except Exception as error:  # damaged files raise what their parser raises
        raise ModelError(
            f"the tokenizer in {folder} is missing or damaged ({type(error).__name__}): train again"
        ) from error
