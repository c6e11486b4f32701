"""One generator a thing: what happens to a message hangs on the seed and its name, not on what was drawn before."""

import numpy as np

from labeling.digests import digest


def chance(seed: int, *names: str) -> np.random.Generator:
    """Return the generator that belongs to ``names`` under ``seed``; the same for the same, whatever ran before."""
    return np.random.default_rng(int(digest([seed, *names])[:32], 16))


def pick(rng: np.random.Generator, items: tuple[str, ...], habit: float = 0.0) -> str:
    """Return one of ``items``: each as likely as the other, or with ``habit`` the k-th k^-habit as likely as the first.

    ``habit`` is the exponent of Zipf's law: people say most things in a few usual ways, and in many rare ones.
    """
    if habit == 0:
        return items[int(rng.integers(len(items)))]
    weights = np.arange(1, len(items) + 1, dtype=float) ** -habit
    return items[int(rng.choice(len(items), p=weights / weights.sum()))]
