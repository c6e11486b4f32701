"""Stream made-up texts through a model, in a process of its own: ``python -m benchmarks.harness.streaming MODEL N``.

Prints a line of JSON when 2% of the texts, and when all of them are scored: ``texts`` and ``peak_mb``, the most memory
that the process has held so far.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path


def main() -> None:
    """Stream."""
    from training.scoring import Scorer

    scorer, wanted, done = Scorer.load(Path(sys.argv[1])), int(sys.argv[2]), 0
    marks = [max(1, wanted // 50), wanted]
    for scores in scorer.stream(_texts(wanted)):
        done += len(scores.probabilities)
        while marks and done >= marks[0]:
            print(json.dumps({"texts": done, "peak_mb": _peak()}), flush=True)
            marks.pop(0)


def _peak() -> float:
    """Return the most that this process held, in MB; getrusage would count what its parent held as well."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def _texts(count: int) -> Iterator[str]:
    words = ("card", "refund", "late", "transfer", "why", "please", "account", "blocked", "today", "fee")
    for number in range(count):
        yield " ".join(words[int(digit)] for digit in f"{number:07d}"[number % 4 :])


if __name__ == "__main__":
    main()
