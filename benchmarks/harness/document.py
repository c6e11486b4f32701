"""Write docs/benchmarks.md from the JSON files of benchmarks/results: ``python -m benchmarks.harness.document``."""

import importlib
import json
from pathlib import Path
from typing import Any

from benchmarks.harness.results import FOLDER

_PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
_HEAD = """\
# Benchmarks

Made from `benchmarks/results/*.json` by `python -m benchmarks.harness.document`; do not edit. Each file of
`benchmarks/` asks one question and states its protocol at the top, fixed before the run. `make bench` runs all of them.
Intervals are 95%. These machines are noisy: read ratios and differences, not seconds.
"""


def main() -> None:
    """Write the page."""
    sections = [describe(path) for path in sorted(FOLDER.glob("*.json"))]
    _PAGE.write_text("\n".join([_HEAD, *sections]), encoding="utf-8")


def describe(path: Path) -> str:
    """Return one benchmark's section: its question, its figures, its peers, where and how it ran."""
    found = json.loads(path.read_text(encoding="utf-8"))
    question, _, protocol = (importlib.import_module(f"benchmarks.{path.stem}").__doc__ or "").partition("\n\n")
    lines = [
        f"## {question}",
        "",
        protocol.split("\n\n    python")[0].strip(),
        "",
        "| figure | value | interval | unit | goal |",
        "|---|---|---|---|---|",
        *(_row(name, figure) for name, figure in found["figures"].items()),
        "",
        f"`{found['command']}`, commit `{found['commit'][:12]}`, {found['machine']}, seeds {found['seeds']}.",
        "",
    ]
    if (FOLDER / f"{path.stem}.svg").exists():
        lines += [f"![{question}](../benchmarks/results/{path.stem}.svg)", ""]
    return "\n".join(lines)


def _row(name: str, figure: dict[str, Any]) -> str:
    low, high = figure["low"], figure["high"]
    interval = "–" if low == high else f"{_shown(low)} to {_shown(high)}"
    cells = [name.replace("_", " "), _shown(figure["value"]), interval, figure["unit"], figure["goal"] or "–"]
    return f"| {' | '.join(cells)} |"


def _shown(value: float) -> str:
    """Return ``value`` with four digits that count, large ones in groups of three."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


if __name__ == "__main__":
    main()
