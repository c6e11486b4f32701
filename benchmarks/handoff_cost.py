"""What do wrong answers and handoffs cost under our policy, beside simpler rules?

Protocol, fixed before the run. BANKING77's test texts (3,080) are the population; one calibrated logistic head on
frozen features answers for every rule (``benchmarks.guarantee`` has the same). The cost of a message is the ratio where
it is kept and wrong, 1 where it is handed off, 0 else; ratios 2, 5, 10 and 20. For n = 300, 1,000 and 1,540, 200
calibration samples are drawn with replacement; to each the packaged policy is fitted (without mood and band) with costs
of that ratio and the packaged promise, and its true mean cost on the population is taken. Rules beside it:

- *fixed*: keep at a confidence of 0.7 and more.
- *hindsight*: the threshold on confidence that is cheapest on the population itself.
- *negative sentiment*: hand off what a model of mood (learnt from rated tweets) expects to be rated nearer to negative
  (-1) than to neutral (0), keep the rest.
- *empirical*: the threshold on confidence that is cheapest on the same calibration sample.

Figures, by ratio at n = 1,000: *closed*, the share of the gap from fixed to hindsight that the policy closes (wanted
where that gap is 5% of the fixed rule's cost or more), and *over_fixed*, its cost over the fixed rule's, in per cent.
Beside them the other n, and the same with a promise of 5% kept as well.

    python -m benchmarks.handoff_cost --data ../shared/data
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.guarantee import load_packaged
from benchmarks.harness.calibrated import KEPT, TASK, Pool, banking77_pool
from benchmarks.harness.results import Figure, SeedResults, write_result
from serving.handoff.config import Costs
from serving.handoff.fitting import fit_handoff

RATIOS: Final = (2, 5, 10, 20)
SIZES: Final = (300, 1000, 1540)
SAMPLES: Final = 200
FIXED: Final = 0.7
WORTH: Final = 0.05
SEED: Final = 0
_PROTOCOL: Final = {"samples": SAMPLES, "policy": 2}
_CLOSED: Final = "at least 80% where the gap is 5% or more"
_WORSE: Final = "at most 2%"


def main() -> None:
    """Run every arm that has no result yet, and write the figures."""
    parser = argparse.ArgumentParser(description="the mean cost of a message under handoff rules")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--kept", type=Path, default=KEPT, help="a folder to keep the answers in")
    asked = parser.parse_args()
    pool, _ = banking77_pool(asked.data, asked.kept)
    kept = SeedResults("handoff_cost", _PROTOCOL)
    arms = [
        (ratio, n, promised)
        for ratio in RATIOS
        for n in SIZES
        for promised in (0.2, 0.05)
        if n == 1000 or promised == 0.2
    ]
    for ratio, n, promised in arms:
        name = name_arm(ratio, n, promised)
        if kept.find(SEED, name) is None:
            began = time.monotonic()
            kept.keep(SEED, name, run(pool, ratio, n, promised))
            told = {key: round(value, 4) for key, value in kept.find(SEED, name).items()}
            print(f"{name}: {time.monotonic() - began:.0f} s", told, flush=True)
    _write({name_arm(*arm): kept.find(SEED, name_arm(*arm)) for arm in arms})
    kept.drop()


def name_arm(ratio: int, n: int, promised: float) -> str:
    """Return the name of an arm."""
    return f"ratio_{ratio}_n_{n}" + ("" if promised == 0.2 else "_promise_5%")


def run(pool: Pool, ratio: int, n: int, promised: float) -> dict[str, float]:
    """Return the mean cost of a message under every rule."""
    rng = np.random.default_rng([SEED, n])
    costs = Costs(wrong_kept=ratio, handoff=1)
    config = load_packaged(promised, band=False).model_copy(update={"costs": costs})
    sure, wrong = pool.cases.answers[TASK].confidences, pool.wrong
    cost = _pricer(wrong, ratio)
    ours, empirical = [], []
    for _ in range(SAMPLES):
        rows = rng.integers(len(wrong), size=n)
        sample = pool.take(rows)
        policy = fit_handoff(sample.cases, sample.outcomes(), config, rng=rng)
        ours.append(cost(policy.keeps(pool.cases)))
        empirical.append(cost(sure >= find_cheapest(sure[rows], wrong[rows], ratio)))
    negative = np.array([path[-1].score < -0.5 for path in pool.cases.moods])
    return {
        "ours": float(np.mean(ours)),
        "error": float(np.std(ours) / np.sqrt(SAMPLES)),
        "worst_of_ten": float(np.quantile(ours, 0.9)),
        "fixed": cost(sure >= FIXED),
        "hindsight": cost(sure >= find_cheapest(sure, wrong, ratio)),
        "negative_sentiment": cost(~negative),
        "keep_all": cost(np.ones(len(wrong), dtype=bool)),
        "empirical": float(np.mean(empirical)),
    }


def find_cheapest(sure: np.ndarray, wrong: np.ndarray, ratio: float) -> float:
    """Return the confidence from which keeping costs least; 2 keeps none."""
    order = np.argsort(-sure, kind="stable")
    spent = np.concatenate([[0], np.cumsum(ratio * wrong[order])]) + np.arange(len(order), -1, -1)
    cut = int(np.argmin(spent))
    return float(sure[order[cut - 1]]) if cut else 2.0


def _pricer(wrong: np.ndarray, ratio: float) -> Callable[[np.ndarray], float]:
    return lambda keeps: float(np.where(keeps, ratio * wrong, 1.0).mean())


def _write(found: dict[str, dict[str, float]]) -> None:
    figures: dict[str, Figure] = {}
    for name, arm in found.items():
        is_main = name.endswith("n_1000")
        gap = arm["fixed"] - arm["hindsight"]
        is_asked = is_main and gap >= WORTH * arm["fixed"]
        closed, reach = 100 * (arm["fixed"] - arm["ours"]) / gap, 196 * arm["error"] / gap
        if gap >= WORTH * arm["fixed"]:
            goal = _CLOSED if is_asked else ""
            figures[f"{name}_closed"] = Figure(closed, closed - reach, closed + reach, "%", "higher", goal)
        over, reach = 100 * (arm["ours"] / arm["fixed"] - 1), 196 * arm["error"] / arm["fixed"]
        goal = _WORSE if is_main else ""
        figures[f"{name}_over_fixed"] = Figure(over, over - reach, over + reach, "%", "lower", goal)
    peers: dict[str, Any] = {
        rule: {name: arm[rule] for name, arm in found.items()}
        for rule in ("ours", "fixed", "hindsight", "negative_sentiment", "keep_all", "empirical", "worst_of_ten")
    }
    write_result(
        "handoff_cost", command="python -m benchmarks.handoff_cost", seeds=[SEED], figures=figures, peers=peers
    )
    for name, figure in figures.items():
        print(name, figure)


if __name__ == "__main__":
    main()
