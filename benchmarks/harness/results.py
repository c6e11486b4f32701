"""Keep what a benchmark found: each seed's result while it runs, one JSON file when it is done."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

FOLDER = Path(__file__).parents[1] / "results"


@dataclass(frozen=True)
class Figure:
    """One figure with its 95% interval; ``goal`` is copied from what was asked for, "" where nothing was."""

    value: float
    low: float
    high: float
    unit: str
    better: str
    goal: str


def over_rounds(values: list[float], unit: str, better: str, goal: str) -> Figure:
    """Return the mean over rounds with its 95% t interval (Student, 1908)."""
    middle = float(np.mean(values))
    reach = float(stats.t.ppf(0.975, len(values) - 1)) * float(stats.sem(values))
    return Figure(middle, middle - reach, middle + reach, unit, better, goal)


class SeedResults:
    """Results by seed and arm in ``<name>.partial.jsonl``, so that a killed benchmark goes on where it was."""

    def __init__(self, name: str, protocol: Mapping[str, Any]) -> None:
        self._path = FOLDER / f"{name}.partial.jsonl"
        self._protocol = json.dumps(dict(protocol), sort_keys=True)
        FOLDER.mkdir(exist_ok=True)

    def find(self, seed: int, arm: str) -> Any:
        """Return the result of ``seed`` and ``arm`` under this protocol, None where there is none yet."""
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        for entry in map(json.loads, lines):
            if (entry["protocol"], entry["seed"], entry["arm"]) == (self._protocol, seed, arm):
                return entry["result"]
        return None

    def keep(self, seed: int, arm: str, result: Any) -> None:
        """Add one result."""
        entry = {"protocol": self._protocol, "seed": seed, "arm": arm, "result": result}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def drop(self) -> None:
        """Remove the file, once the result is written."""
        self._path.unlink(missing_ok=True)


def write_result(
    name: str, *, command: str, seeds: list[int], figures: Mapping[str, Figure], peers: Mapping[str, Any]
) -> Path:
    """Write ``benchmarks/results/<name>.json`` and return its path."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()  # noqa: S607
    content = {
        "command": command,
        "commit": commit,
        "machine": describe_machine(),
        "seeds": seeds,
        "figures": {key: asdict(figure) for key, figure in figures.items()},
        "peers": dict(peers),
    }
    path = FOLDER / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path


def describe_machine() -> str:
    """Return processor, cores and Python in a few words."""
    model = next(
        (line.split(":", 1)[1].strip() for line in _cpu_lines() if line.startswith("model name")), platform.machine()
    )
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}"


def _cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
