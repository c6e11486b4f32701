"""Does a training that is killed end with another model?

Protocol, fixed before the run. 400 rows of BANKING77's training part (drawn by the seed), the recipe `default`, which
tries epochs on dev and then trains on dev too; frozen layers' answers are kept and a checkpoint is taken after every
epoch, as in the product. One play trains, calibrates and writes the model folder (`train_candidate`), in a process of
its own that is forked once everything is imported. Undisturbed twice, from empty folders: the two must answer alike;
the longer of the two durations is D. Then 20 times: empty folders, an instant drawn uniformly over [0, D] from the
play's beginning, `SIGKILL`, one plain rerun. A play that ends before its instant was not killed: the instant is drawn
again, and counted.

The model of the rerun must give each of 1,000 texts of the test part the label that the undisturbed one gives, with a
probability that differs by 0.001 at most, and nothing half written may be left. The figure is the number of kills in
which this holds, scaled to 20, with Clopper and Pearson's interval (95%).

    python -m benchmarks.training_kills --data ../shared/data
"""

import argparse
import multiprocessing
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from scipy import stats

from benchmarks.harness.banking77 import load_recipe
from benchmarks.harness.results import Figure, SeedResults, write_result
from benchmarks.scoring import freeze, read_banking77
from training.activations import ActivationCache
from training.candidate import train_candidate
from training.checkpoint import Checkpoint
from training.finetune import Surroundings
from training.scoring import Scorer

_SEED: Final = 31
_KILLS: Final = 20
_ROWS: Final = 400
_TEXTS: Final = 1_000
_CLOSE: Final = 1e-3
_LONGEST: Final = 600.0
_LOADED: Final = ["torch", "transformers", "peft", "sklearn.linear_model", "benchmarks.training_kills"]


def main() -> None:
    """Kill what is missing of the kills, and write the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--kills", type=int, default=_KILLS)
    asked = parser.parse_args()
    kept = SeedResults("training_kills", {"recipe": load_recipe(asked.recipe).model_dump(mode="json")})
    with tempfile.TemporaryDirectory(prefix="cxloop-training-kills-") as name:
        folder = Path(name)
        texts = read_banking77(asked.data, 0)[1].sample(_TEXTS, seed=_SEED)["text"].to_list()
        seconds = [run(asked, folder / part) for part in ("first", "second")]
        whole, other = (answer(folder / part, texts) for part in ("first", "second"))
        if differ(whole, other):
            raise SystemExit("two undisturbed trainings answer differently: no figure")
        print(f"undisturbed: {max(seconds):.1f} s", flush=True)
        outcomes = []
        for number in range(asked.kills):
            outcome = kept.find(number, "kill")
            if outcome is None:
                outcome = kill_once(asked, folder / str(number), texts, whole, longest=max(seconds), number=number)
                kept.keep(number, "kill", outcome)
            outcomes.append(outcome)
            print(f"kill {number} at {outcome['at']:.1f} s: {outcome['differ'] or 'alike'}", flush=True)
    _report(asked, outcomes, max(seconds))
    if asked.kills >= _KILLS:
        kept.drop()


def play(asked: argparse.Namespace, folder: Path) -> None:
    """Train with everything that is kept between runs."""
    train, _ = read_banking77(asked.data, 0)
    rows, recipe = train.sample(_ROWS, seed=_SEED), load_recipe(asked.recipe)
    cache = ActivationCache(folder / "activations", key=b"kills", max_bytes=10**10)
    train_candidate(
        freeze(rows, recipe),
        rows.select("interaction_id", "text"),
        calibrate=pl.DataFrame(schema={"text": pl.String, "label": pl.String}),
        recipe=recipe,
        folder=folder / "model",
        around=Surroundings(cache=cache, checkpoint=Checkpoint(folder / "run")),
    )


def run(asked: argparse.Namespace, folder: Path, *, kill_after: float | None = None) -> float:
    """Play in ``folder``, to the end or until it is killed; return the seconds that it took."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(_LOADED)
    folder.mkdir(exist_ok=True)
    began = time.monotonic()
    process = processes.Process(target=play, args=(asked, folder))
    process.start()
    process.join(_LONGEST if kill_after is None else kill_after)
    if process.is_alive():
        process.kill()
        process.join()
    elif process.exitcode:
        raise SystemExit(f"a training ended with code {process.exitcode}: no figure")
    return time.monotonic() - began


def kill_once(
    asked: argparse.Namespace, folder: Path, texts: list[str], whole: pl.DataFrame, *, longest: float, number: int
) -> dict[str, Any]:
    """Kill one training, run it again, and compare; ``missed`` counts the instants at which it had already ended."""
    rng, missed = np.random.default_rng([_SEED, number]), 0
    while True:
        at = float(rng.uniform(0, longest))
        run(asked, folder, kill_after=at)
        if not (folder / "model").exists():
            break
        shutil.rmtree(folder)
        missed += 1
    run(asked, folder)
    left = [path.name for path in folder.rglob("*.partial")]
    found = differ(whole, answer(folder, texts)) or ", ".join(left)
    shutil.rmtree(folder)
    return {"at": at, "missed": missed, "differ": found}


def answer(folder: Path, texts: list[str]) -> pl.DataFrame:
    """Return label and confidence of each text by the model that was written into ``folder``."""
    return Scorer.load(folder / "model").score(texts).frame().select("label", "confidence")


def differ(one: pl.DataFrame, other: pl.DataFrame) -> str:
    """Return in what two models differ, "" where they answer alike."""
    labels = int((one["label"] != other["label"]).sum())
    gap = float(np.abs(one["confidence"].to_numpy() - other["confidence"].to_numpy()).max())
    return f"{labels} labels, {gap:.4f} in confidence" if labels or gap > _CLOSE else ""


def _report(asked: argparse.Namespace, outcomes: list[dict[str, Any]], longest: float) -> None:
    alike, kills = sum(not outcome["differ"] for outcome in outcomes), len(outcomes)
    bounds = stats.binomtest(alike, kills).proportion_ci(method="exact")
    scaled = [20 * share for share in (alike / kills, bounds.low, bounds.high)]
    figure = Figure(scaled[0], scaled[1], scaled[2], "kills of 20", "higher", "= 20")
    missed = sum(outcome["missed"] for outcome in outcomes)
    peers = {"kills": kills, "drawn_again": missed, "undisturbed_seconds": longest, "by_kill": outcomes}
    command = f"python -m benchmarks.training_kills --data ../shared/data --kills {kills}"
    write_result("training_kills", command=command, seeds=[_SEED], figures={"ends_alike": figure}, peers=peers)
    print(f"ends_alike: {alike} of {kills}; {missed} instants drawn again")


if __name__ == "__main__":
    main()
