"""Texts as tokens, in batches of like length: padding is work for nothing, and most messages are short."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import torch

Progress = Callable[[float, str], None]
"""Called with the share done, in [0, 1], and a short message."""


_FEW: Final = 8
"""So many batches a thread are few: with more, one that is left over hardly counts."""


@dataclass(frozen=True)
class Tokens:
    """Tokenised texts: ``ids`` holds one list of token ids a text; ``pad_id`` fills the shorter ones of a batch."""

    ids: Sequence[Sequence[int]]
    pad_id: int

    @property
    def lengths(self) -> np.ndarray:
        """The number of tokens of each text, (n,) int64."""
        return np.fromiter((len(row) for row in self.ids), dtype=np.int64, count=len(self.ids))

    def collate(self, rows: np.ndarray) -> "tuple[torch.Tensor, torch.Tensor]":
        """Return ids and attention mask of ``rows``, each (len(rows), longest) int64."""
        import torch

        longest = max(len(self.ids[row]) for row in rows)
        ids = np.full((len(rows), longest), self.pad_id, dtype=np.int64)
        mask = np.zeros((len(rows), longest), dtype=np.int64)
        for place, row in enumerate(rows):
            length = len(self.ids[row])
            ids[place, :length] = self.ids[row]
            mask[place, :length] = 1
        return torch.from_numpy(ids), torch.from_numpy(mask)


def tokenize(tokenizer: Any, texts: Sequence[str], *, max_tokens: int) -> Tokens:
    """Tokenise ``texts`` once; what is longer than ``max_tokens`` loses its end."""
    if not texts:
        return Tokens((), tokenizer.pad_token_id or 0)
    only_ids = {"return_attention_mask": False, "return_token_type_ids": False}
    encoded = tokenizer(list(texts), truncation=True, max_length=max_tokens, padding=False, **only_ids)
    return Tokens(encoded["input_ids"], tokenizer.pad_token_id or 0)


def plan_batches(lengths: np.ndarray, *, batch_tokens: int, rng: np.random.Generator | None = None) -> list[np.ndarray]:
    """Cut the texts into batches of like length, none over ``batch_tokens`` tokens with its padding.

    With ``rng`` (training), texts of equal length and the batches themselves are shuffled; without (scoring), the
    longest come first, so that a batch too big for memory shows at once.

    Args:
        lengths: tokens of each text, (n,).
        batch_tokens: rows times longest row that a batch may hold; a single longer text is a batch of its own.
        rng: the only source of chance.

    Returns:
        Index arrays that hold each of 0..n-1 once.
    """
    order = np.arange(len(lengths)) if rng is None else rng.permutation(len(lengths))
    order = order[np.argsort(-lengths[order], kind="stable")]
    batches = list(_cut(order, lengths, batch_tokens))
    if rng is not None:
        rng.shuffle(batches)
    return batches


def plan_even_batches(lengths: np.ndarray, *, batch_tokens: int, threads: int) -> list[np.ndarray]:
    """Return ``plan_batches`` in batches that keep ``threads`` threads equally busy, where they are few.

    Three batches on two threads leave one of them idle for a quarter of the time, four smaller ones do not.
    """
    batches = plan_batches(lengths, batch_tokens=batch_tokens)
    wanted = min(len(lengths), threads * math.ceil(len(batches) / threads))
    if wanted == len(batches) or wanted > _FEW * threads:
        return batches
    low, high = min(int(lengths.max()), batch_tokens), batch_tokens
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if len(plan_batches(lengths, batch_tokens=middle)) <= wanted else (middle + 1, high)
    return plan_batches(lengths, batch_tokens=low)


def _cut(order: np.ndarray, lengths: np.ndarray, batch_tokens: int) -> Iterator[np.ndarray]:
    start = 0
    while start < len(order):
        rows = max(1, int(batch_tokens // lengths[order[start]]))
        yield order[start : start + rows]
        start += rows
