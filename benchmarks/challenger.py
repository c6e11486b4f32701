"""How long from settled labels to a challenger that waits for a reviewer?

Protocol, fixed before the run. BANKING77 through the whole loop (`cxloop replay`, fake desk, packaged recipe): 6,000
labels make the first champion from scratch, then a week of messages comes in, people answer 200 cases of it, and they
settle. The clock runs from there, over the sensor that asks for a retrain, the frozen sets, the warm training,
registering and reloading, and the judging with its case file. Nobody is asked between two releases, so that the verdict
does not wait for people. An absolute time of one machine: it says whether the budget is kept there. The peer is the
same loop's training from scratch of the first champion, judged alike.

    python -m benchmarks.challenger --data ../shared/data
"""

import argparse
import dataclasses
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from benchmarks.harness.results import Figure, SeedResults, write_result
from labeling.home import Home
from pipelines.replay.labelled_script import FileOptions, labelled_script
from pipelines.replay.narration import ConsoleNarrator
from pipelines.replay.playing import play_script
from pipelines.replay.showing import approver
from pipelines.replay.state import load_state

_NOW = datetime(2026, 6, 1, tzinfo=UTC)
PROTOCOL = {"seed_labels": 6_000, "weeks": 1, "reviews": 200}


def main() -> None:
    """Play what is missing of every seed, then write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="the folder of the data sets")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds, from 0")
    asked = parser.parse_args()
    kept = SeedResults("challenger", PROTOCOL)
    found: dict[str, list[float]] = {"cold": [], "warm": []}
    for seed in range(asked.seeds):
        seconds = kept.find(seed, "loop")
        if seconds is None:
            seconds = play(asked.data / "banking77.csv", seed)
            kept.keep(seed, "loop", seconds)
        for name, taken in found.items():
            taken.append(seconds[name])
        print(f"seed {seed}: {seconds['warm']:.1f} s to a challenger, {seconds['cold']:.1f} s from scratch", flush=True)
    figures = {"seconds_to_challenger": describe(found["warm"], goal="<= 90")}
    peers = {"from_scratch": {"seconds": sum(found["cold"]) / len(found["cold"])}}
    command = "python -m benchmarks.challenger --data ../shared/data"
    path = write_result("challenger", command=command, seeds=list(range(asked.seeds)), figures=figures, peers=peers)
    print(f"seconds to a challenger: {figures['seconds_to_challenger'].value:.1f} (goal 90); written: {path.name}")
    kept.drop()


def play(file: Path, seed: int) -> dict[str, float]:
    """Return how long the retrains of the history and of the week took, in seconds, by ``cold`` and ``warm``."""
    script = labelled_script(
        FileOptions(files={"intent": str(file)}, strategy="cover", seed=seed, desk="fake", **PROTOCOL)
    )
    unasked = {**script.changes["gates.yaml"], "most_disagreements": 0}
    script = dataclasses.replace(script, changes={**script.changes, "gates.yaml": unasked})
    with tempfile.TemporaryDirectory(prefix="cxloop-bench-") as folder:
        home = Home(Path(folder) / "home")
        play_script(script, home, ConsoleNarrator(Console(stderr=True)), now=_NOW, approve=approver(home))
        state = load_state(home)
    if state is None:
        raise SystemExit("the play left no state")
    return {"cold": state.seconds["0:retrain"], "warm": state.seconds["1:retrain"]}


def describe(values: list[float], *, goal: str) -> Figure:
    """Return the mean, with the least and the most as its interval."""
    return Figure(sum(values) / len(values), min(values), max(values), "s", "lower", goal)


if __name__ == "__main__":
    main()
