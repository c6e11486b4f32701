"""Does the handoff policy keep its promise, and how much does it hand off for that?

Protocol, fixed before the run. BANKING77's test texts (3,080) are the population. A logistic head on frozen features of
the packaged encoder, learnt from the training texts and calibrated on a part of them, answers once. For n = 300, 1,000
and 1,540, 500 calibration samples are drawn with replacement; to each the packaged policy is fitted without costs and
without a band, with a promise of at most 5% wrong answers among those kept, at 90% confidence. Truth is the policy's
risk on the population:

- *violations*: the share of fitted policies whose true risk exceeds 5%.
- *coverage*: what they keep; *shortfall*: the mean coverage below the threshold on confidence that is best in
  hindsight, the laxest with a true risk of at most 5%, in points.

Peer: the plain plug-in threshold on confidence, the laxest at which at most 5% of the kept calibration cases are wrong.

Out of scope: insurance requests of natcs are one in ten of the messages, counted as wrong where they are kept: in
calibration and traffic alike (*mixed*), and in traffic only (*traffic_only*), at n = 1,540. Band: the packaged band,
judged on its randomised decisions (*band*), at n = 1,540. natcs: its own model, learnt from one half of the requests;
the other half is the population, n = 600.

    python -m benchmarks.guarantee --data ../shared/data
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.harness.calibrated import KEPT, Pool, banking77_pool, mix, natcs_pool
from benchmarks.harness.results import Figure, SeedResults, write_result
from labeling.config import load_config
from serving.handoff.config import HandoffConfig
from serving.handoff.fitting import fit_handoff
from serving.handoff.policy import HandoffPolicy
from serving.handoff.promise import in_band

SAMPLES: Final = 500
SIZES: Final = (300, 1000, 1540)
PROMISED: Final = 0.05
CONFIDENCE: Final = 0.9
SEED: Final = 0
_PROTOCOL: Final = {"samples": SAMPLES, "policy": 2}
_MOST: Final = "at most 10% plus Monte-Carlo error (12.7%)"
_SHORT: Final = {1540: "at most 3 points", 1000: "at most 4 points"}


def main() -> None:
    """Run every arm that has no result yet, and write the figures."""
    parser = argparse.ArgumentParser(description="how often the promise is broken, and what is kept")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--kept", type=Path, default=KEPT, help="a folder to keep the answers in")
    asked = parser.parse_args()
    banking, outside = banking77_pool(asked.data, asked.kept)
    mixed = mix(banking, outside, 0.1, np.random.default_rng(SEED))
    natcs = natcs_pool(asked.data, asked.kept)
    arms: dict[str, Callable[[], Any]] = {
        **{f"banking77_{n}": (lambda n=n: run(banking, banking, n)) for n in SIZES},
        "mixed_1540": lambda: run(mixed, mixed, 1540),
        "traffic_only_1540": lambda: run(banking, mixed, 1540),
        "band_1540": lambda: run(banking, banking, 1540, band=True),
        "natcs_600": lambda: run(natcs, natcs, 600),
    }
    kept = SeedResults("guarantee", _PROTOCOL)
    for name, arm in arms.items():
        if kept.find(SEED, name) is None:
            began = time.monotonic()
            kept.keep(SEED, name, arm())
            told = {key: round(value, 4) for key, value in kept.find(SEED, name).items()}
            print(f"{name}: {time.monotonic() - began:.0f} s", told, flush=True)
    _write({name: kept.find(SEED, name) for name in arms})
    kept.drop()


def run(source: Pool, traffic: Pool, n: int, *, band: bool = False) -> dict[str, float]:
    """Fit ``SAMPLES`` policies to samples of ``source`` and measure each on ``traffic``."""
    rng, config = np.random.default_rng([SEED, n]), load_packaged(PROMISED, band=band)
    wrong, confidences = traffic.wrong, traffic.cases.answers["intent"].confidences
    best = find_best(confidences, wrong)
    rows = []
    for _ in range(SAMPLES):
        sample = source.take(rng.integers(len(source.truth), size=n))
        policy = fit_handoff(sample.cases, sample.outcomes(), config, rng=rng)
        plain = plug_in(sample.cases.answers["intent"].confidences, sample.wrong)
        shares = keep_shares(policy, traffic) if band else policy.keeps(traffic.cases).astype(float)
        rows.append([*_measure(shares, wrong), *_measure((confidences >= plain).astype(float), wrong)])
    found = np.array(rows)
    names = ("violations", "coverage", "risk", "plug_in_violations", "plug_in_coverage", "plug_in_risk")
    means = dict(zip(names, found.mean(axis=0).tolist(), strict=True))
    return {
        **means,
        "coverage_error": float(found[:, 1].std() / np.sqrt(SAMPLES)),
        "best_coverage": best,
        "accuracy": float(1 - wrong.mean()),
    }


def load_packaged(promised: float, *, band: bool) -> HandoffConfig:
    """Return the packaged policy without costs, at another promise."""
    packaged = load_config(Path(__file__).parents[1] / "configs" / "handoff.yaml", HandoffConfig)
    changes: dict[str, Any] = {"promised_error_share": promised, "confidence": CONFIDENCE, "costs": None}
    changes["high_risk_labels"] = ()
    changes["sentiment"] = None
    changes["band"] = packaged.band if band else packaged.band.model_copy(update={"width": 0.0})
    return packaged.model_copy(update=changes)


def keep_shares(policy: HandoffPolicy, pool: Pool) -> np.ndarray:
    """Return the chance with which each message is kept, chance in the band included, (n,)."""
    threshold, band = policy.promise.threshold, policy.config.band
    keeps = policy.keeps(pool.cases).astype(float)
    if threshold is None:
        return keeps
    scores = policy.scores(pool.cases)
    return np.where(in_band(scores, threshold, band), np.abs(keeps - band.flip), keeps)


def plug_in(confidences: np.ndarray, wrong: np.ndarray) -> float:
    """Return the laxest confidence at which at most the promised share of those kept is wrong; 2 keeps none."""
    order = np.argsort(-confidences, kind="stable")
    shares = np.cumsum(wrong[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(shares <= PROMISED)
    return float(confidences[order[good[-1]]]) if len(good) else 2.0


def find_best(confidences: np.ndarray, wrong: np.ndarray) -> float:
    """Return the largest coverage of a threshold on confidence whose true risk is at most what is promised."""
    return float((confidences >= plug_in(confidences, wrong)).mean())


def _measure(shares: np.ndarray, wrong: np.ndarray) -> tuple[float, float, float]:
    risk = float(shares[wrong].sum() / max(shares.sum(), 1e-9))
    return float(risk > PROMISED), float(shares.mean()), risk


def _write(found: dict[str, dict[str, float]]) -> None:
    figures: dict[str, Figure] = {}
    for name, arm in found.items():
        place, _, size = name.rpartition("_")
        is_main = place == "banking77"
        figures[f"{name}_violations"] = _share(arm["violations"], _MOST if place not in ("traffic_only",) else "")
        figures[f"{name}_plug_in_violations"] = _share(arm["plug_in_violations"], "above 12.7%" if is_main else "")
        short, reach = 100 * (arm["best_coverage"] - arm["coverage"]), 196 * arm["coverage_error"]
        goal = _SHORT.get(int(size), "") if is_main else ""
        figures[f"{name}_shortfall"] = Figure(short, short - reach, short + reach, "points", "lower", goal)
        value, reach = 100 * arm["coverage"], 196 * arm["coverage_error"]
        figures[f"{name}_coverage"] = Figure(value, value - reach, value + reach, "%", "higher", "")
    command = "python -m benchmarks.guarantee"
    write_result(
        "guarantee", command=command, seeds=[SEED], figures=figures, peers={"plug_in": "beside", "by_arm": found}
    )
    for name, figure in figures.items():
        print(name, figure)


def _share(value: float, goal: str) -> Figure:
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(round(value * SAMPLES), SAMPLES, method="wilson")
    return Figure(100 * value, 100 * float(low), 100 * float(high), "%", "lower", goal)


if __name__ == "__main__":
    main()
