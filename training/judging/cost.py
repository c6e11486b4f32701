"""What a model costs to run: seconds a text, megabytes of files."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median


def measure_seconds(
    score: Callable[[Sequence[str]], object],
    texts: Sequence[str],
    *,
    rounds: int = 3,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Return the seconds that a text takes in a batch of ``texts``: the median of ``rounds`` after one to warm up.

    Args:
        score: answers a batch.
        texts: at least one.
        rounds: how often it is timed (>= 1).
        clock: in seconds.
    """
    score(texts)
    taken = []
    for _ in range(rounds):
        began = clock()
        score(texts)
        taken.append((clock() - began) / len(texts))
    return median(taken)


def measure_megabytes(folder: Path) -> float:
    """Return the size of all files in ``folder``, in millions of bytes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
