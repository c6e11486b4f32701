"""What a lexicon says of a text's mood, beside what the encoder says: words that no label taught."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, Literal

import numpy as np

Lexicon = Literal["vader"]

LEXICON_WIDTHS: Final[dict[Lexicon | None, int]] = {None: 0, "vader": 4}
"""How many numbers a lexicon says of a text."""

_MOST_CHARACTERS: Final = 1_000
"""What follows is not read: encoders cut a text there too, and the time goes with the square of its words."""


def add_lexicon(features: np.ndarray, texts: Sequence[str], lexicon: Lexicon | None) -> np.ndarray:
    """Return the features with the lexicon's numbers beside them, (n, d + its width) float32; without one, as they are.

    VADER (Hutto and Gilbert, 2014) knows the mood of 7,506 English words, emoticons and shorthands, each rated by ten
    people, and what negation, emphasis and "but" do to it. Its numbers are the shares of negative, neutral and positive
    in [0, 1], and all in one in [-1, 1].

    Args:
        features: of ``texts``, (n, d).
        texts: as the encoder read them.
        lexicon: which one.
    """
    if lexicon is None:
        return features
    said = [_vader().polarity_scores(text[:_MOST_CHARACTERS]) for text in texts]
    numbers = [[one[name] for name in ("neg", "neu", "pos", "compound")] for one in said]
    shaped = np.array(numbers, dtype=np.float32).reshape(len(texts), LEXICON_WIDTHS[lexicon])
    return np.hstack([features.astype(np.float32, copy=False), shaped])


@lru_cache(maxsize=1)
def _vader() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()
