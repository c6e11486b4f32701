"""Do the labels that selection asks for teach more than labels drawn alike?

Protocol, fixed before the run. BANKING77 through the whole loop (`cxloop replay`, fake desk): 500 labels of the
official training part make the first champion, the rest arrives as three weeks of messages, and people read 300 open
cases a week, chosen by the packaged policy (arm `cover`) or drawn uniformly (arm `uniform`, the peer). Everything else
is alike: the same seed deals the same rows, lots, annotators and mistakes; agents' corrections are off and nobody is
asked between two releases, so that both arms learn from the same number of labels. After each round the newest
candidate is measured on the official test part, which is never played. Three seeds, arms in turn; a difference is the
mean over seeds of the paired difference, with a t interval.

    python -m benchmarks.replay --data ../shared/data
"""

import argparse
import dataclasses
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from scipy import stats

from benchmarks.harness.results import FOLDER, Figure, SeedResults, write_result
from labeling import tables as t
from labeling.config import load_config
from labeling.home import Home
from pipelines.packaged import configs_folder
from pipelines.replay.labelled_file import derive_taxonomy, read_labelled
from pipelines.replay.labelled_script import FileOptions, labelled_script
from pipelines.replay.narration import ConsoleNarrator
from pipelines.replay.people import SimulatedPeople
from pipelines.replay.playing import play_script
from pipelines.replay.rates import DemoConfig
from pipelines.replay.showing import approver

ARMS = ("cover", "uniform")
_NOW = datetime(2026, 6, 1, tzinfo=UTC)
PROTOCOL = {"seed_labels": 500, "weeks": 3, "reviews": 300}


def main() -> None:
    """Run what is missing of every seed and arm, then write the figures and the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="the folder of the data sets")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds, from 0")
    chosen = parser.parse_args()
    kept = SeedResults("replay", PROTOCOL)
    found: dict[tuple[int, str], list[dict[str, float]]] = {}
    for seed in range(chosen.seeds):
        for arm in ARMS:
            result = kept.find(seed, arm)
            if result is None:
                result = play_arm(chosen.data / "banking77.csv", seed, arm)
                kept.keep(seed, arm, result)
            found[seed, arm] = result
            print(f"seed {seed} {arm}: " + ", ".join(f"{r['labels']:.0f} labels {r['accuracy']:.4f}" for r in result))
    report(found, list(range(chosen.seeds)))
    kept.drop()


def play_arm(file: Path, seed: int, arm: str) -> list[dict[str, float]]:
    """Play one replay; return, by round, how many labels trained the candidate and its accuracy on the test part."""
    options = FileOptions(files={"intent": str(file)}, strategy=arm, seed=seed, desk="fake", **PROTOCOL)
    config = load_config(configs_folder() / "demo.yaml", DemoConfig)
    silent = config.agents.model_copy(update={"notices": {}, "notices_in_handoff": {}, "needless": 0.0})
    config = config.model_copy(update={"agents": silent})
    taxonomy = derive_taxonomy([read_labelled(str(file), task="intent")])
    played = labelled_script(options)
    unasked = {**played.changes["gates.yaml"], "most_disagreements": 0}
    script = dataclasses.replace(
        played,
        changes={**played.changes, "gates.yaml": unasked},
        people=lambda crowd: SimulatedPeople(config, taxonomy, seed=seed, crowd=crowd),
    )
    with tempfile.TemporaryDirectory(prefix="cxloop-bench-") as folder:
        home = Home(Path(folder) / "home")
        play_script(script, home, ConsoleNarrator(Console(stderr=True)), now=_NOW, approve=approver(home))
        return measure_rounds(home, script)


def measure_rounds(home: Home, script: Any) -> list[dict[str, float]]:
    """Score every intent candidate of ``home``, in the order in which they were made, on the sealed rows."""
    from assets.resources import Loop
    from training.scoring import Scorer

    sealed = script.feed(_NOW).held_out
    texts = [message.text for message in sealed]
    truth = np.array([message.truth["intent"] for message in sealed])
    registry = Loop(home=str(home.path)).open_registry()
    sizes = home.tables.read(t.TRAINING_SETS).group_by("training_set_id", "frozen_at").len().sort("frozen_at")["len"]
    rounds = []
    for version, labels in zip(registry.versions("cxloop-intent"), sizes, strict=True):
        said = Scorer.load(registry.download("cxloop-intent", version.version)).score(texts).frame()["label"].to_numpy()
        rounds.append({"labels": float(labels), "accuracy": float((said == truth).mean())})
    return rounds


def report(found: dict[tuple[int, str], list[dict[str, float]]], seeds: list[int]) -> None:
    """Write the JSON and the plot, and print the figures."""
    rounds = len(found[seeds[0], ARMS[0]])
    accuracy = {arm: np.array([[r["accuracy"] for r in found[seed, arm]] for seed in seeds]) for arm in ARMS}
    figures = {}
    for number in range(1, rounds):
        gain = 100 * (accuracy["cover"][:, number] - accuracy["uniform"][:, number])
        middle, low, high = t_interval(gain)
        figures[f"gain_after_round_{number}"] = Figure(middle, low, high, "points", "higher", ">= 0")
        figures[f"accuracy_after_round_{number}"] = Figure(
            *(100 * value for value in t_interval(accuracy["cover"][:, number])), "%", "higher", ""
        )
    peers = {
        "uniform": {
            f"accuracy_after_round_{number}": 100 * float(accuracy["uniform"][:, number].mean())
            for number in range(rounds)
        },
        "by_seed": {f"{seed}:{arm}": found[seed, arm] for seed in seeds for arm in ARMS},
    }
    path = write_result(
        "replay", command="python -m benchmarks.replay --data ../shared/data", seeds=seeds, figures=figures, peers=peers
    )
    plot(accuracy, found, seeds)
    print(json.dumps({name: dataclasses.asdict(figure) for name, figure in figures.items()}, indent=2))
    print(f"written: {path.relative_to(FOLDER.parents[1])}")


def t_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Return the mean and its 95% t interval (Student, 1908)."""
    mean, error = float(values.mean()), float(stats.sem(values))
    reach = float(stats.t.ppf(0.975, len(values) - 1)) * error
    return mean, mean - reach, mean + reach


def plot(accuracy: dict[str, np.ndarray], found: dict[tuple[int, str], Any], seeds: list[int]) -> None:
    """Draw accuracy over labels, each seed thin, the mean thick."""
    from matplotlib.figure import Figure as Canvas

    figure = Canvas(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    for arm, colour, marker in zip(ARMS, ("#1f5f8b", "#c2571a"), ("o", "s"), strict=True):
        labels = np.array([[r["labels"] for r in found[seed, arm]] for seed in seeds])
        axes.plot(labels.T, 100 * accuracy[arm].T, color=colour, alpha=0.3, linewidth=1)
        axes.plot(labels.mean(0), 100 * accuracy[arm].mean(0), color=colour, marker=marker, label=arm)
    axes.set(xlabel="labels that trained", ylabel="accuracy on the test part, %", title="BANKING77 through the loop")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)
    figure.savefig(FOLDER / "replay.svg")


if __name__ == "__main__":
    main()
