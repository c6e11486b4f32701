"""Does the product stay within its budgets of time and memory?

Protocol. `cxloop --help` and `import pipelines.definitions` as whole processes, five times each after a warm-up, the
longest counts. `cxloop demo` once, on real parts, from an empty home: wall time, and the largest resident memory of its
own process (Label Studio apart), sampled ten times a second. Absolute figures of one machine: they say whether a budget
is kept there, nothing more. The peer of the demo's time is its budget.

    python -m benchmarks.budgets
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.harness.results import Figure, write_result

_RUNS = 5


def main() -> None:
    """Measure every budget and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="not needed here; every benchmark takes it")
    parser.parse_args()
    cxloop = str(Path(sys.executable).with_name("cxloop"))
    with tempfile.TemporaryDirectory(prefix="cxloop-budgets-") as folder:
        seconds, gigabytes = watch([cxloop, "demo", "--home", str(Path(folder) / "home")])
    figures = {
        "help_seconds": longest([cxloop, "--help"], goal="<= 1"),
        "import_definitions_seconds": longest([sys.executable, "-c", "import pipelines.definitions"], goal="<= 4"),
        "demo_minutes": Figure(seconds / 60, seconds / 60, seconds / 60, "minutes", "lower", "<= 6"),
        "demo_memory": Figure(gigabytes, gigabytes, gigabytes, "GB", "lower", "<= 3"),
    }
    path = write_result("budgets", command="python -m benchmarks.budgets", seeds=[7], figures=figures, peers={})
    for name, figure in figures.items():
        print(f"{name}: {figure.value:.2f} {figure.unit} (goal {figure.goal})")
    print(f"written: {path.relative_to(Path.cwd())}" if path.is_relative_to(Path.cwd()) else f"written: {path}")


def longest(command: list[str], *, goal: str) -> Figure:
    """Run ``command`` and return its wall time: the longest of the runs as value, shortest and longest as interval."""
    taken = []
    for _ in range(_RUNS + 1):
        begun = time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        taken.append(time.monotonic() - begun)
    return Figure(max(taken[1:]), min(taken[1:]), max(taken[1:]), "s", "lower", goal)


def watch(command: list[str]) -> tuple[float, float]:
    """Run ``command`` to its end; return its wall time in seconds and its process's largest memory in GB."""
    begun, largest = time.monotonic(), 0
    running = psutil.Popen(command, stdout=sys.stderr, env=os.environ)
    while running.poll() is None:
        try:
            largest = max(largest, running.memory_info().rss)
        except psutil.NoSuchProcess:
            break
        time.sleep(0.1)
    if running.wait() != 0:
        raise SystemExit(f"{command[1]} failed with code {running.returncode}: no figure")
    return time.monotonic() - begun, largest / 1e9


if __name__ == "__main__":
    main()
