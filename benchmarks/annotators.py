"""Do settled labels follow the truth where people disagree, and some of them do not look?

Protocol, fixed before the seeds that count (10 to 19). Items and their real disagreement come from `vader_ratings`
(about twenty human ratings an item, cut at -0.5 and 0.5 into negative, neutral, positive): whoever looks at an item
draws one of its ratings. A seed draws 1,000 items and 20 annotators: 16 with a confusion matrix of their own (right
with 0.75 to 0.98 by label, the rest by a Dirichlet draw) that what they saw passes through, and 4 spammers, two who
always say the same and two who say anything. The truth is the cut of an item's mean rating. Two ways of asking:

- *three each*: three people an item.
- *small team*: six of the annotators (one a spammer), one person an item, two for 15% of them, a third where they
  differ.

Arms: ours (`find_consensus`), and crowd-kit's MajorityVote, OneCoinDawidSkene and DawidSkene. Figures: accuracy of
the settled label, ECE of its confidence (ten equal bins), ours less the best of the others, means over seeds with t
intervals.

    python -m benchmarks.annotators --data ../shared/data
"""

import argparse
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from benchmarks.harness.results import Figure, SeedResults, write_result
from labeling.settling.consensus import find_consensus
from labeling.tables import REVIEWS

SEEDS: Final = list(range(10, 20))
LABELS: Final = ("negative", "neutral", "positive")
ITEMS: Final = 1000
PROTOCOL: Final = {"items": ITEMS, "annotators": 20, "rule": 1}
PEERS: Final = ("majority", "one_coin", "dawid_skene")


def main() -> None:
    """Run every seed that has no result yet, and write the figures."""
    parser = argparse.ArgumentParser(description="how settled labels follow the truth where people disagree")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=len(SEEDS))
    asked = parser.parse_args()
    items, kept, found = load(asked.data), SeedResults("annotators", PROTOCOL), {}
    seeds = SEEDS[: asked.seeds]
    for seed in seeds:
        found[seed] = kept.find(seed, "all")
        if found[seed] is None:
            began = time.monotonic()
            found[seed] = run_seed(items, seed)
            kept.keep(seed, "all", found[seed])
            print(f"seed {seed}: {time.monotonic() - began:.0f} s", found[seed], flush=True)
    figures: dict[str, Figure] = {}
    peers: dict[str, Any] = {}
    for way in ("three_each", "small_team"):
        told = [found[seed][way] for seed in seeds]
        figures[f"accuracy_{way}"] = _figure([one["ours"]["accuracy"] for one in told], "share", "higher", "")
        figures[f"ece_{way}"] = _figure([one["ours"]["ece"] for one in told], "share", "lower", "")
        for name, choose, sign in (("accuracy", max, 1), ("ece", min, -1)):
            gains = [sign * (one["ours"][name] - choose(one[arm][name] for arm in PEERS)) for one in told]
            figures[f"{name}_better_than_best_peer_{way}"] = _figure(gains, "share", "higher", "")
        gains = [one["ours"]["accuracy"] - one["majority"]["accuracy"] for one in told]
        figures[f"accuracy_above_majority_{way}"] = _figure(gains, "share", "higher", "beside majority vote")
        peers |= {
            f"{arm}_{way}": {name: float(np.mean([one[arm][name] for one in told])) for name in ("accuracy", "ece")}
            for arm in PEERS
        }
    write_result("annotators", command="python -m benchmarks.annotators", seeds=seeds, figures=figures, peers=peers)
    kept.drop()


def load(data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return each item's shares of negative, neutral and positive ratings (n, 3), and its true label (n,)."""
    shares, truth = [], []
    for name in ("amazonReviewSnippets.csv", "tweets.csv"):
        for ratings, label in pl.read_csv(data / "vader_ratings" / name).select("ratings", "label").iter_rows():
            cut = np.digitize([float(rating) for rating in ratings.split("|")], (-0.5, 0.5))
            shares.append(np.bincount(cut, minlength=3) / len(cut))
            truth.append(LABELS.index(label))
    return np.array(shares), np.array(truth)


def run_seed(items: tuple[np.ndarray, np.ndarray], seed: int) -> dict[str, dict[str, dict[str, float]]]:
    """Return accuracy and ECE by way of asking and arm."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(items[1]), size=ITEMS, replace=False)
    shares, truth = items[0][chosen], items[1][chosen]
    people = draw_people(rng)
    three = [(item, list(rng.choice(20, size=3, replace=False))) for item in range(ITEMS)]
    team = [0, 1, 2, 3, 4, 16 + seed % 4]
    few = [(item, list(rng.choice(team, size=3, replace=False))) for item in range(ITEMS)]
    both = {
        "three_each": [
            (item, person, say(rng, shares[item], people[person])) for item, asked in three for person in asked
        ],
        "small_team": [answer for item, asked in few for answer in ask_few(rng, shares[item], people, item, asked)],
    }
    return {
        way: {arm: judge(settle(answers), truth) for arm, settle in arms().items()} for way, answers in both.items()
    }


def draw_people(rng: np.random.Generator) -> list[np.ndarray]:
    """Return 16 confusion matrices (seen, said) and 4 spammers'."""
    people = []
    for _ in range(16):
        matrix = np.zeros((3, 3))
        for seen in range(3):
            right = rng.uniform(0.75, 0.98)
            matrix[seen] = np.insert((1 - right) * rng.dirichlet([1.0, 1.0]), seen, right)
        people.append(matrix)
    same = [np.eye(3)[np.full(3, rng.integers(3))] for _ in range(2)]
    return [*people, *same, *[np.full((3, 3), 1 / 3)] * 2]


def say(rng: np.random.Generator, shares: np.ndarray, matrix: np.ndarray) -> int:
    """Return what somebody with ``matrix`` says of an item."""
    return int(rng.choice(3, p=matrix[rng.choice(3, p=shares)]))


def ask_few(
    rng: np.random.Generator, shares: np.ndarray, people: list[np.ndarray], item: int, asked: list[int]
) -> list[tuple[int, int, int]]:
    """Return one answer, sometimes two, and three where two differ."""
    answers = [(item, person, say(rng, shares, people[person])) for person in asked]
    if rng.random() >= 0.15:
        return answers[:1]
    return answers[:2] if answers[0][2] == answers[1][2] else answers


def arms() -> dict[str, Callable[[list[tuple[int, int, int]]], pl.DataFrame]]:
    """Return each arm: answers (item, person, label) → ``item, label, confidence``."""
    from crowdkit.aggregation import DawidSkene, MajorityVote, OneCoinDawidSkene

    def of_peer(make: Callable[[], Any]) -> Callable[[list[tuple[int, int, int]]], pl.DataFrame]:
        return lambda answers: _settle_peer(make(), answers)

    return {
        "ours": _settle_ours,
        "majority": of_peer(MajorityVote),
        "one_coin": of_peer(lambda: OneCoinDawidSkene(n_iter=100)),
        "dawid_skene": of_peer(lambda: DawidSkene(n_iter=100)),
    }


def judge(settled: pl.DataFrame, truth: np.ndarray) -> dict[str, float]:
    """Return accuracy and ECE."""
    right = settled["label"].to_numpy() == truth[settled["item"].to_numpy()]
    sure = settled["confidence"].to_numpy()
    place = np.clip((sure * 10).astype(int), 0, 9)
    gaps = [abs(right[place == cell].sum() - sure[place == cell].sum()) for cell in range(10)]
    return {"accuracy": float(right.mean()), "ece": float(sum(gaps) / len(right))}


def _settle_ours(answers: list[tuple[int, int, int]]) -> pl.DataFrame:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    rows = [
        {"review_id": f"r{item}-{person}", "interaction_id": f"{item:06}", "annotator_id": f"p{person}", "task": "mood",
         "label": LABELS[label], "answered_at": now}
        for item, person, label in answers
    ]  # fmt: skip
    found = find_consensus(REVIEWS.frame(rows)).verdicts
    return found.select(
        item=pl.col("interaction_id").cast(pl.Int64),
        label=pl.col("label").replace_strict(LABELS, range(3), return_dtype=pl.Int64),
        confidence="confidence",
    )


def _settle_peer(model: Any, answers: list[tuple[int, int, int]]) -> pl.DataFrame:
    data = pl.DataFrame(answers, schema=["task", "worker", "label"], orient="row").to_pandas()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sure = model.fit_predict_proba(data)
    labels = np.asarray(sure.columns, dtype=int)[sure.to_numpy().argmax(axis=1)]
    return pl.DataFrame({"item": sure.index.to_numpy(), "label": labels, "confidence": sure.to_numpy().max(axis=1)})


def _figure(values: list[float], unit: str, better: str, goal: str) -> Figure:
    from scipy.stats import t

    mean, count = float(np.mean(values)), len(values)
    reach = float(t.ppf(0.975, count - 1) * np.std(values, ddof=1) / count**0.5) if count > 1 else 0.0
    return Figure(mean, mean - reach, mean + reach, unit, better, goal)


if __name__ == "__main__":
    main()
