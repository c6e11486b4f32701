"""Texts that say the same in nearly the same letters: they must not stand on both sides of a split.

Texts are compared by their three-letter pieces, not by features: of BANKING77's training texts with one typo put in,
the pieces find all where features of the packaged encoder, set to group as many texts, find 14 of 100.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from scipy.sparse import csr_array

NEAR: Final = 0.75
"""The share of two texts' pieces that near copies have in common. Tried on BANKING77's 10,003 training texts: the
largest group then has 9 texts, at 0.6 already 146, for links of links grow into chains."""

_LETTER: Final = 4
"""Pieces that one typo changes, two letters swapped included: a short text with one is a copy even below ``NEAR``."""
_SHORTEST: Final = 10
"""Pieces of the shortest text for which that holds; "no" and "go" are no copies."""

_BANDS: Final = 30
_ROWS: Final = 4
"""Of pairs of texts all share a band of minima that have 0.75 of their pieces in common, 99% with 0.62 and 93% with
0.55 (a short text and a typo), 22% with 0.3."""
_LOOK: Final = 8
"""How many texts further on in a band's bucket a text is compared with, besides the bucket's first."""

_BLOCK: Final = 10_000
_MOST_PIECES: Final = 4_000_000
"""Pieces compared at once: 64 MB."""
_BUCKETS: Final = 2**24


def plain(texts: pl.Series) -> pl.Series:
    """Return ``texts`` without what copies differ in: lower case, runs of anything but letters and digits one space.

    A text without a letter or digit keeps its signs.
    """
    lower = texts.str.normalize("NFKC").str.to_lowercase()
    spaced = lower.str.replace_all(r"\s+", " ").str.strip_chars()
    words = lower.str.replace_all(r"[\W_]+", " ").str.strip_chars()
    return words.zip_with(words != "", spaced).rename(texts.name)


def group_rows(keys: Sequence[pl.Series], links: np.ndarray) -> np.ndarray:
    """Return the group of each row, (n,) int: rows joined by an equal key or by a link, at any remove.

    Args:
        keys: columns of n values each, at least one; null equals nothing.
        links: pairs of rows, (m, 2) int.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows = len(keys[0])
    pairs = [links]
    for column in keys:
        frame = pl.DataFrame({"key": column, "row": np.arange(rows)}).drop_nulls("key")
        pairs.append(frame.select("row", first=pl.col("row").min().over("key")).to_numpy())
    one, two = np.concatenate(pairs).astype(np.int64).T
    graph = coo_array((np.ones(len(one)), (one, two)), shape=(rows, rows))
    return connected_components(graph, directed=False)[1]


def link_near(texts: pl.Series) -> np.ndarray:
    """Return pairs of rows whose texts are near copies, enough of them to join each group of copies.

    MinHash (Broder, 1997) finds pairs that may be, their very pieces are then compared. (datasketch's index of the
    bands takes 257 MB for 30,000 texts.) Work grows with the number of texts; texts from one template (a code, a name
    differs) are not all compared with each other: the first and the next few of a bucket are, which chains them.

    Args:
        texts: of ``plain``; equal ones are not linked here.

    Returns:
        (m, 2) int, places in ``texts``.
    """
    once = pl.DataFrame({"text": texts, "row": np.arange(len(texts))}).group_by("text").agg(pl.col("row").min())
    rows = once.sort("row")["row"].to_numpy()
    pieces = _cut(texts.gather(rows).to_list())
    full = np.flatnonzero(np.diff(pieces.indptr))
    if len(full) < 2:
        return np.zeros((0, 2), dtype=np.int64)
    pieces, found = pieces[full], np.zeros((0, 2), dtype=np.int64)
    for pairs in _candidates(_minima(pieces)):
        group = group_rows([pl.Series(np.arange(len(full)))], found)
        apart = pairs[group[pairs[:, 0]] != group[pairs[:, 1]]]
        found = np.concatenate([found, apart[_are_near(pieces, apart)]])
    return rows[full[found]]


def straddling(train: Sequence[str], test: Sequence[str], *, near: bool = True) -> np.ndarray:
    """Return which of the ``test`` texts have a copy in ``train``, (m,) bool.

    Args:
        train: texts that a model learns from.
        test: texts that it is measured on.
        near: count near copies too, through other test texts included; else only texts of equal letters and digits.
    """
    texts = plain(pl.Series([*train, *test], dtype=pl.String))
    links = link_near(texts) if near else np.zeros((0, 2), dtype=np.int64)
    group = group_rows([texts], links)
    return np.isin(group[len(train) :], group[: len(train)])


def _cut(texts: list[str]) -> "csr_array":
    """Return which pieces of three letters each text has, its start counted, (n, pieces) of 0 and 1."""
    from scipy.sparse import csr_array
    from sklearn.feature_extraction.text import HashingVectorizer

    cutter = HashingVectorizer(
        analyzer="char",
        ngram_range=(3, 3),
        lowercase=False,
        binary=True,
        norm=None,  # pyright: ignore[reportArgumentType]
        alternate_sign=False,
        n_features=_BUCKETS,
        dtype=np.float32,  # pyright: ignore[reportArgumentType]
    )
    return csr_array(cutter.transform(f" {text}" for text in texts))


def _minima(pieces: "csr_array") -> np.ndarray:
    """Return for each text the least of its pieces under each of many orders, (n, bands x rows) uint32.

    The orders are the same in every run: which texts are grouped must not depend on chance.
    """
    rng = np.random.default_rng(0)
    factors, terms = rng.integers(1, 2**63, size=(2, _BANDS * _ROWS), dtype=np.uint64)
    minima = np.empty((len(pieces.indptr) - 1, _BANDS * _ROWS), dtype=np.uint32)
    for start in range(0, len(minima), _BLOCK):
        block = pieces[start : start + _BLOCK]
        ids = block.indices.astype(np.uint64)
        for place, (factor, term) in enumerate(zip(factors | np.uint64(1), terms, strict=True)):
            order = ((ids * factor + term) >> np.uint64(32)).astype(np.uint32)
            minima[start : start + _BLOCK, place] = np.minimum.reduceat(order, block.indptr[:-1])
    return minima


def _candidates(minima: np.ndarray) -> Iterator[np.ndarray]:
    """Yield for each band the pairs of rows to compare, (m, 2): of one bucket, first with all, each with the next few.

    Within a bucket rows are sorted by the next band, so that the likelier copies stand together.
    """
    factors = np.random.default_rng(1).integers(1, 2**63, size=_ROWS, dtype=np.uint64)
    keys = [(minima[:, _ROWS * b : _ROWS * (b + 1)].astype(np.uint64) * factors).sum(axis=1) for b in range(_BANDS)]
    for band, key in enumerate(keys):
        order = np.lexsort((keys[(band + 1) % _BANDS], key))
        ranked = key[order]
        starts = np.concatenate([[True], ranked[1:] != ranked[:-1]])
        first = order[np.maximum.accumulate(np.where(starts, np.arange(len(order)), 0))]
        pairs = [np.stack([first, order], axis=1)]
        for ahead in range(1, min(_LOOK, len(order) - 1) + 1):
            same = ranked[ahead:] == ranked[:-ahead]
            pairs.append(np.stack([order[:-ahead][same], order[ahead:][same]], axis=1))
        low, high = np.sort(np.concatenate(pairs), axis=1).T.astype(np.int64)
        yield np.stack(np.divmod(np.unique((low * len(order) + high)[low < high]), len(order)), axis=1)


def _are_near(pieces: "csr_array", pairs: np.ndarray) -> np.ndarray:
    """Return which pairs of rows are near copies, (m,) bool."""
    sizes = np.diff(pieces.indptr)
    one, two = sizes[pairs[:, 0]], sizes[pairs[:, 1]]
    near = _is_near(one, two, np.minimum(one, two))  # the most that they can have in common
    left = np.flatnonzero(near)
    parts = np.cumsum(one[left] + two[left]) // _MOST_PIECES
    for part in np.split(left, np.flatnonzero(np.diff(parts)) + 1):
        shared = np.asarray(pieces[pairs[part, 0]].multiply(pieces[pairs[part, 1]]).sum(axis=1)).ravel()
        near[part] = _is_near(one[part], two[part], shared)
    return near


def _is_near(one: np.ndarray, two: np.ndarray, shared: np.ndarray) -> np.ndarray:
    """Return whether texts of so many pieces, so many shared, are near copies: by Jaccard's index or but for a typo."""
    typo = (np.maximum(one, two) - shared <= _LETTER) & (np.minimum(one, two) >= _SHORTEST)
    return typo | (shared >= NEAR * (one + two - shared))
