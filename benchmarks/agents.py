"""How true are the labels that agents' corrections, and their silence, settle to?

Protocol, fixed before the seeds that count (10 to 19). A world a seed (`benchmarks/harness/simulated_agents.py`):
12,000 messages of 20 intents (frequency 1 / rank ** 0.7); a model whose confidence is true and right 85 times in a
hundred; 12 agents who open 60% of the messages, notice an error with a rate of 0.3 to 0.8 that hangs on its true
intent, then give the truth with 0.7 to 0.95, and correct a right answer with 0.005 to 0.03, by agent. 15% of the
messages are audit cases, all reviewed by one of four reviewers (a tenth by two), who are right 95 times in a hundred.
Nothing of this is told to the code that settles: it gets the tables.

Judged on the open lot. *Ours*: every label that `settle` makes there (corrections, and silence where it is usable).
*Silence as agreement*: crowd-kit's Dawid-Skene models over the model, each agent (a silent agent says what was shown)
and the reviewers, once on the same messages as ours and once on all that were opened. ECE: ten equal bins of
confidence. Shift: the largest difference, over intents, between an intent's share of the settled labels and its share
of the truth of the same messages. Figures are means over seeds with t intervals.

    python -m benchmarks.agents
"""

import argparse
import time
import warnings
from typing import Any, Final

import numpy as np
import polars as pl

from benchmarks.harness.results import Figure, SeedResults, write_result
from benchmarks.harness.simulated_agents import NOW, Played, World, play
from labeling.settling.settle import settle

SEEDS: Final = list(range(10, 20))
PROTOCOL: Final = {"world": str(World()), "rule": 1}
ARMS: Final = ("ours", "one_coin", "dawid_skene", "one_coin_all", "dawid_skene_all")


def main() -> None:
    """Run every seed that has no result yet, and write the figures."""
    parser = argparse.ArgumentParser(description="how true settled labels of corrections and silence are")
    parser.add_argument("--seeds", type=int, default=len(SEEDS))
    chosen = SEEDS[: parser.parse_args().seeds]
    kept = SeedResults("agents", PROTOCOL)
    found = {}
    for seed in chosen:
        found[seed] = kept.find(seed, "all")
        if found[seed] is None:
            began = time.monotonic()
            found[seed] = run_seed(seed, World())
            kept.keep(seed, "all", found[seed])
            print(f"seed {seed}: {time.monotonic() - began:.0f} s", {arm: found[seed][arm] for arm in ARMS}, flush=True)
    figures = {
        "settled_ece": _figure([found[seed]["ours"]["ece"] for seed in chosen], "share", "lower", "at most 0.05"),
        "largest_shift": _figure([found[seed]["ours"]["shift"] for seed in chosen], "points", "lower", "at most 2"),
        "settled_accuracy": _figure([found[seed]["ours"]["accuracy"] for seed in chosen], "share", "higher", ""),
        "settled_share_of_opened": _figure([found[seed]["ours"]["covered"] for seed in chosen], "share", "higher", ""),
        "correction_ece": _figure([found[seed]["corrections"]["ece"] for seed in chosen], "share", "lower", ""),
        "accuracy_above_dawid_skene": _figure(
            [found[seed]["ours"]["accuracy"] - _best(found[seed], "accuracy", max) for seed in chosen],
            "share", "higher", "above 0",
        ),
        "ece_below_dawid_skene": _figure(
            [_best(found[seed], "ece", min) - found[seed]["ours"]["ece"] for seed in chosen],
            "share", "higher", "above 0",
        ),
    }  # fmt: skip
    peers = {
        arm: {
            name: float(np.mean([found[seed][arm][name] for seed in chosen])) for name in ("ece", "shift", "accuracy")
        }
        for arm in ARMS[1:]
    }
    write_result("agents", command="python -m benchmarks.agents", seeds=chosen, figures=figures, peers=peers)
    kept.drop()


def run_seed(seed: int, world: World) -> dict[str, dict[str, float]]:
    """Return, by arm, ECE, shift in points, accuracy and the share of opened messages that have a label."""
    played = play(world, np.random.default_rng(seed))
    truth = played.events.filter(pl.col("lot") == "open").select("interaction_id", "truth", "agent")
    settled = settle(played.answers, taxonomy=played.taxonomy, now=NOW).labels
    ours = settled.join(truth, on="interaction_id")
    opened = truth.filter(pl.col("agent").is_not_null())
    results = {"ours": judge(ours, opened.height)}
    results["corrections"] = judge(ours.filter(pl.col("source") == "correction"), opened.height)
    for name, labels in settle_as_agreement(played).items():
        every = labels.join(opened, on="interaction_id")
        same = every.join(ours, on="interaction_id", how="semi")
        results |= {name: judge(same, opened.height), f"{name}_all": judge(every, opened.height)}
    return results


def judge(labels: pl.DataFrame, opened: int) -> dict[str, float]:
    """Judge ``label`` and ``confidence`` by ``truth``."""
    right = (labels["label"] == labels["truth"]).to_numpy()
    sure = labels["confidence"].to_numpy()
    place = np.clip((sure * 10).astype(int), 0, 9)
    gaps = [abs(right[place == cell].sum() - sure[place == cell].sum()) for cell in range(10)]
    shares = [labels[column].value_counts(normalize=True) for column in ("label", "truth")]
    both = shares[0].join(shares[1], left_on="label", right_on="truth", how="full", coalesce=True).fill_null(0.0)
    shift = np.abs(both["proportion"].to_numpy() - both["proportion_right"].to_numpy()).max(initial=0.0)
    return {
        "ece": float(sum(gaps) / max(1, len(right))),
        "shift": 100 * float(shift),
        "accuracy": float(right.mean()),
        "covered": len(right) / opened,
    }


def settle_as_agreement(played: Played) -> dict[str, pl.DataFrame]:
    """Let crowd-kit settle model, agents and reviewers, a silent agent taken to say what was shown."""
    from crowdkit.aggregation import DawidSkene, OneCoinDawidSkene

    events = played.events
    agents = events.filter(pl.col("agent").is_not_null()).select(
        task="interaction_id", worker="agent", label=pl.coalesce("given", "shown")
    )
    model = events.select(task="interaction_id", worker=pl.lit("model"), label="shown")
    reviews = played.answers.reviews.select(task="interaction_id", worker="annotator_id", label="label")
    data = pl.concat([agents, model, reviews]).to_pandas()
    settled = {}
    for name, kind in (("one_coin", OneCoinDawidSkene), ("dawid_skene", DawidSkene)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sure: Any = kind(n_iter=50).fit_predict_proba(data)
        settled[name] = pl.DataFrame(
            {"interaction_id": sure.index.to_list(), "label": sure.idxmax(axis=1).to_list(),
             "confidence": sure.max(axis=1).to_numpy()}
        )  # fmt: skip
    return settled


def _best(result: dict[str, dict[str, float]], name: str, choose: Any) -> float:
    return choose(result[arm][name] for arm in ("one_coin", "dawid_skene"))


def _figure(values: list[float], unit: str, better: str, goal: str) -> Figure:
    from scipy.stats import t

    mean = float(np.mean(values))
    reach = (
        float(t.ppf(0.975, max(1, len(values) - 1)) * np.std(values, ddof=1) / len(values) ** 0.5) if values[1:] else 0
    )
    return Figure(mean, mean - reach, mean + reach, unit, better, goal)


if __name__ == "__main__":
    main()
