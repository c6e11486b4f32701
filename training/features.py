"""Features: what the frozen encoder says of a text. Computed once a text, kept by keyed digest."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from labeling.delta import Tables
from labeling.digests import keyed_digest
from labeling.tables import FEATURES
from training.batches import Progress, tokenize
from training.encoder import Encoder
from training.forward import TorchForward, read_features


def digest_text(key: bytes, text: str) -> str:
    """Return the keyed digest that stands for ``text`` in tables and manifests (``text_digest``)."""
    return keyed_digest(key, "text", text)


def embed_texts(
    encoder: Encoder, texts: Sequence[str], *, pooled_layers: int = 1, on_progress: Progress | None = None
) -> np.ndarray:
    """Return the feature of each text (``pool_layers``), (n, pooled_layers * d) float32, in the order given."""
    tokens = tokenize(encoder.tokenizer, texts, max_tokens=encoder.spec.max_tokens)
    done = 0

    def tell(rows: int) -> None:
        nonlocal done
        done += rows
        if on_progress:
            on_progress(done / len(texts), f"{done:,} of {len(texts):,} texts read")

    forward = TorchForward([encoder.model], pooled=[pooled_layers], in_bf16=False)
    return read_features(forward, tokens, [pooled_layers * encoder.dimension], tell)[0]


def cached_features(
    texts: Sequence[str], *, encoder: Encoder, tables: Tables, key: bytes, on_progress: Progress | None = None
) -> np.ndarray:
    """Return what ``embed_texts`` returns, computing only the texts that the FEATURES table lacks, and keeping those.

    Rows are named by the encoder's digest and the text's keyed digest, so another encoder, or another home's key,
    never meets a stale row.

    Returns:
        (n, d) float32, in the order of ``texts``; equal texts share one row of the table.

    Raises:
        StorageError: the table cannot be read or written.
    """
    digests = [digest_text(key, text) for text in texts]
    place = {name: position for position, name in enumerate(dict.fromkeys(digests))}
    features = np.zeros((len(place), encoder.dimension), dtype=np.float32)
    stored = tables.read(
        FEATURES,
        columns=["text_digest", "feature"],
        where=(pl.col("encoder_digest") == encoder.digest) & pl.col("text_digest").is_in(list(place)),
    )
    missing = dict(zip(digests, texts, strict=True))
    if stored.height:
        found = stored["text_digest"].to_list()
        features[[place[name] for name in found]] = (
            stored["feature"].explode().to_numpy().reshape(-1, encoder.dimension)
        )
        missing = {name: text for name, text in missing.items() if name not in set(found)}
    if missing:
        fresh = embed_texts(encoder, list(missing.values()), on_progress=on_progress)
        features[[place[name] for name in missing]] = fresh
        tables.merge(FEATURES, _rows(encoder.digest, list(missing), fresh))
    return features[[place[name] for name in digests]]


def _rows(encoder_digest: str, digests: list[str], features: np.ndarray) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "encoder_digest": [encoder_digest] * len(digests),
            "text_digest": digests,
            "feature": pl.Series(features.tolist(), dtype=pl.List(pl.Float32)),
        }
    )
