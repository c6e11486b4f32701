"""Does the model's confidence mean what it says?

Protocol, fixed before the run. BANKING77, official parts, seeds 0 to 4, the packaged recipe. As in the product, a dev
part of the training texts (drawn by the seed) chooses the epochs; the temperature (Guo et al., 2017) is fitted to the
answers that a model which has not seen dev gives to it; the final model is trained on dev too. The test part is used
for the figures alone:

- *ece*: expected calibration error of the answers, 15 bins of equal width.
- *over the floor*: that less the mean error of a perfectly calibrated model of the same confidences (1,000
  simulations of as many cases: each answer right with the chance that its confidence states).
- *nll* and *brier*: what the temperature changes in the loss of the true label and in Brier's score (1950), as
  calibrated less uncalibrated.

Peer: the same model uncalibrated, at temperature 1.

    python -m benchmarks.calibration --data ../shared/data
"""

import argparse
import math
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.harness.banking77 import Part, load_banking77, load_recipe, train_product
from benchmarks.harness.results import SeedResults, over_rounds, write_result
from training.calibration import (
    brier_score,
    calibration_floor,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
)
from training.quadratic import TEMPERATURE_SPREAD
from training.scoring import softmax

SEEDS: Final = 5
_GOALS: Final = {
    "ece": ("ECE", "at most 0.015"),
    "over_the_floor": ("ECE", "at most 0.004"),
    "nll_less_uncalibrated": ("nats", "at most 0"),
    "brier_less_uncalibrated": ("score", "at most 0"),
}


def main() -> None:
    """Train every seed that has no result yet, and write the figures."""
    parser = argparse.ArgumentParser(description="calibration error on BANKING77, and what chance alone would show")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    asked = parser.parse_args()
    train, test = load_banking77(asked.data)
    recipe = load_recipe(asked.recipe)
    kept = SeedResults("calibration", {"recipe": recipe.model_dump(mode="json")})
    seeds, spread = list(range(asked.seeds)), TEMPERATURE_SPREAD if recipe.head.kind == "quadratic" else math.inf
    found = []
    for seed in seeds:
        if kept.find(seed, "logits") is None:
            began = time.monotonic()
            kept.keep(seed, "logits", run_seed(train, test, recipe=asked.recipe, seed=seed))
            print(f"seed {seed}: {time.monotonic() - began:.0f} s", flush=True)
        found.append(measure(kept.find(seed, "logits"), spread=spread, rng=np.random.default_rng(seed)))
        print(f"seed {seed}:", found[-1], flush=True)
    _write(asked.recipe, found, seeds)
    kept.drop()


def run_seed(train: Part, test: Part, *, recipe: str, seed: int) -> dict[str, Any]:
    """Train, and return logits and targets of dev (by a model that has not seen it) and of test."""
    trained = train_product(train, recipe=load_recipe(recipe), seed=seed)
    _, logits = trained.answer(test.texts)
    if trained.model.dev_logits is None:
        raise SystemExit(f"recipe {recipe} has no dev part: the temperature needs one")
    return {
        "dev": np.round(trained.model.dev_logits.astype(np.float64), 3).tolist(),
        "dev_targets": trained.dev_targets.tolist(),
        "test": np.round(logits.astype(np.float64), 3).tolist(),
        "test_targets": trained.targets(test.labels).tolist(),
    }


def measure(run: dict[str, Any], *, spread: float, rng: np.random.Generator) -> dict[str, float]:
    """Return the figures of one seed."""
    dev, logits = np.array(run["dev"]), np.array(run["test"])
    targets = np.array(run["test_targets"])
    temperature = fit_temperature(dev, np.array(run["dev_targets"]), spread=spread)
    ours, peer = (_measure_at(logits, targets, at) for at in (temperature, 1.0))
    return {
        "temperature": temperature,
        "accuracy": float((logits.argmax(axis=1) == targets).mean()),
        "ece": ours["ece"],
        "over_the_floor": ours["ece"] - calibration_floor(softmax(logits, temperature).max(axis=1), rng=rng),
        "ece_uncalibrated": peer["ece"],
        "nll": ours["nll"],
        "nll_less_uncalibrated": ours["nll"] - peer["nll"],
        "brier": ours["brier"],
        "brier_less_uncalibrated": ours["brier"] - peer["brier"],
    }


def _measure_at(logits: np.ndarray, targets: np.ndarray, temperature: float) -> dict[str, float]:
    probs = softmax(logits, temperature)
    return {
        "ece": expected_calibration_error(probs.max(axis=1), probs.argmax(axis=1) == targets),
        "nll": negative_log_likelihood(logits, targets, temperature),
        "brier": brier_score(probs, targets),
    }


def _write(recipe: str, found: list[dict[str, float]], seeds: list[int]) -> None:
    of = {name: [one[name] for one in found] for name in found[0]}
    figures = {name: over_rounds(of[name], unit, "lower", goal) for name, (unit, goal) in _GOALS.items()}
    for name, unit in (("nll", "nats"), ("brier", "score"), ("temperature", "")):
        figures[name] = over_rounds(of[name], unit, "" if name == "temperature" else "lower", "")
    peers = {"uncalibrated": {"ece": float(np.mean(of["ece_uncalibrated"]))}, "by_seed": found}
    command = f"python -m benchmarks.calibration --recipe {recipe}"
    write_result("calibration", command=command, seeds=seeds, figures=figures, peers=peers)
    for name, figure in figures.items():
        print(name, figure)


if __name__ == "__main__":
    main()
