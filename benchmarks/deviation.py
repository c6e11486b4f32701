"""Can the mood of a customer's turns tell that a dialogue's script foresees trouble?

`star`'s `happy` flag says that the scenario was scripted without trouble; it says nothing of anybody's mood. So this is
*scripted-deviation detection*, and no more: how early, and how well, the signals that the live side draws from
sentiment tell a dialogue whose script deviates from one whose script does not.

Protocol, fixed before the run. Single-task dialogues of 8 turns or more. Sentiment: a logistic regression on frozen
features (the default recipe's, its penalty chosen on a tenth), trained on `vader_ratings` (tweets and review
sentences), none of which is of this kind; a turn's score is P(positive) - P(negative), in [-1, 1]. Signals after the
customer's k-th turn, k = 1 to 6, of dialogues that have so many: the last score, the mean, the lowest, the slope a
turn, and the fall from the highest to the last. A logistic regression on them (C = 1, standardised) is fitted to half
of the workers and tested on the other half: a dialogue counts only where both of its workers are of one half, so
nobody stands in both in either role. Ten seeds draw the halves.

- *within task*: AUROC over pairs of dialogues of one task, one of each kind, all tasks' pairs together. Task alone
  gives 0.5 by construction.
- *overall*: AUROC over all pairs; the task's share of deviations (training half, smoothed) is added as a signal.

- *alarm*: the sentiment alarm as the product cuts it, at 2%, as handoff.yaml has it, on a turn drawn by chance from
  each quiet dialogue of the training half. Counted in the testing half, at a turn drawn likewise: quiet dialogues above
  the cut (which the rate promises) and deviating ones; and dialogues that are above it at any of their first six turns,
  which nothing promises.

Beside it: the task alone; the signals with the number of questions that were asked again; and, to see what can be
known at all, a logistic regression (C = 0.01) on the mean feature of the customer's turns. Intervals: Student's t over
the ten seeds, whose halves overlap, so they are somewhat narrow.

    python -m benchmarks.deviation --data ../shared/data

``--features`` names a folder that keeps features between runs.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from benchmarks.harness.banking77 import load_recipe
from benchmarks.harness.results import SeedResults, over_rounds, write_result
from benchmarks.harness.star import Dialogue, embed_once, load_dialogues
from serving.context.exchanges import find_exchanges
from serving.conversation import CUSTOMER
from serving.handoff.fitting import find_cut
from serving.sentiment_path import measure_strain
from training.heads import apply_head, choose_penalty, fit_head

SEEDS: Final = list(range(10))
TURNS: Final = range(1, 7)
LEAST_TURNS: Final = 8
MOODS: Final = ("negative", "neutral", "positive")
ARMS: Final = ("sentiment", "sentiment_and_repeats", "text")
PROTOCOL: Final = {"least_turns": LEAST_TURNS, "signals": "last mean lowest slope fall", "version": 2}
FALSE_ALARM_RATE: Final = 0.02
_SMOOTHING: Final = 5.0
_FEW: Final = 10
"""Signals up to so many are fitted with C = 1, more with C = 0.01."""
_SETS: Final = ("tweets.csv", "amazonReviewSnippets.csv")


@dataclass(frozen=True)
class Observed:
    """What is known of dialogues after the customer's k-th turn.

    ``signals`` by arm (n, d); ``strain`` (n,); ``place`` (n,) which of all dialogues it is; ``deviates`` (n,) of bool;
    ``task`` (n,) numbers; ``workers`` the two of each dialogue.
    """

    signals: dict[str, np.ndarray]
    strain: np.ndarray
    place: np.ndarray
    deviates: np.ndarray
    task: np.ndarray
    workers: list[tuple[str, str]]


def main() -> None:
    """Run every seed that has no result yet, and write the figures."""
    parser = argparse.ArgumentParser(description="scripted deviations told from sentiment, by turn")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--features", type=Path, default=None, help="a folder to keep the features in")
    asked = parser.parse_args()
    kept = SeedResults("deviation", PROTOCOL)
    if any(kept.find(seed, "all") is None for seed in SEEDS):
        observed = load(asked.data, asked.features)
        for seed in SEEDS:
            if kept.find(seed, "all") is None:
                by_turn: dict[str, Any] = {str(turn): run_seed(observed[turn], seed) for turn in TURNS}
                kept.keep(seed, "all", by_turn | {"alarm": run_alarm(observed, seed)})
                print(f"seed {seed}", kept.find(seed, "all")["3"], flush=True)
    write({seed: kept.find(seed, "all") for seed in SEEDS})
    kept.drop()


def load(data: Path, kept: Path | None) -> dict[int, Observed]:
    """Return what is known after each of the first six customer turns."""
    chosen = [one for one in load_dialogues(data) if one.is_single and len(one.turns) >= LEAST_TURNS]
    rated = [pl.read_csv(data / "vader_ratings" / name).select("text", "label") for name in _SETS]
    ratings = pl.concat(rated)
    texts = [text for one in chosen for text in one.before(len(one.turns)).customer_texts()]
    features = embed_once([*texts, *ratings["text"]], kept)
    score = fit_sentiment(np.stack([features[text] for text in ratings["text"]]), ratings["label"].to_list())
    scores = dict(zip(texts, score(np.stack([features[text] for text in texts])), strict=True))
    return {turn: observe(chosen, turn, features=features, scores=scores) for turn in TURNS}


def fit_sentiment(features: np.ndarray, labels: Sequence[str]) -> Any:
    """Return a function from features (n, d) to scores (n,) in [-1, 1]."""
    recipe = load_recipe("default").head
    targets = np.array([MOODS.index(label) for label in labels])
    weights = np.ones(len(targets))
    held_out = [np.random.default_rng(0).permutation(len(targets))[: len(targets) // 10]]
    penalty = choose_penalty(features, targets, weights, held_out=held_out, recipe=recipe)
    head = fit_head(features, targets, weights, inverse_penalty=penalty, max_iterations=recipe.max_iterations)

    def score(asked: np.ndarray) -> np.ndarray:
        logits = apply_head(asked, head)
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        return shares[:, 2] - shares[:, 0]

    return score


def observe(
    dialogues: Sequence[Dialogue], turns: int, *, features: dict[str, np.ndarray], scores: dict[str, float]
) -> Observed:
    """Return what is known of the dialogues after the customer's turn number ``turns``, of those with so many."""
    signals: dict[str, list[Any]] = {arm: [] for arm in ARMS}
    seen, strain, numbers = [], [], []
    for number, one in enumerate(dialogues):
        places = [place for place, turn in enumerate(one.turns) if turn.role == CUSTOMER][:turns]
        if len(places) < turns:
            continue
        said = [one.turns[place].text for place in places]
        path = np.array([scores[text] for text in said])
        asked = find_exchanges(one.before(places[-1] + 1))
        slope = float(np.polyfit(np.arange(turns), path, 1)[0]) if turns > 1 else 0.0
        mood = [path[-1], path.mean(), path.min(), slope, path.max() - path[-1]]
        signals["sentiment"].append(mood)
        signals["sentiment_and_repeats"].append([*mood, sum(exchange.times - 1 for exchange in asked)])
        signals["text"].append(np.mean([features[text] for text in said], axis=0))
        strain.append(measure_strain(path))
        seen.append(one)
        numbers.append(number)
    names = sorted({one.task for one in dialogues})
    return Observed(
        signals={arm: np.array(rows) for arm, rows in signals.items()},
        strain=np.array(strain),
        place=np.array(numbers),
        deviates=np.array([not one.happy for one in seen]),
        task=np.array([names.index(one.task) for one in seen]),
        workers=[(one.customer, one.agent) for one in seen],
    )


def run_seed(observed: Observed, seed: int) -> dict[str, float]:
    """Return the AUROCs of one draw of the workers, and how many dialogues were tested."""
    train, test = halve(observed, seed)
    prior = task_share(observed, train)
    deviates, task = observed.deviates[test], observed.task[test]
    found = {"dialogues": float(len(test)), "task_overall": auroc(deviates, prior[test])}
    for arm, signals in observed.signals.items():
        said = fit_and_answer(signals, observed.deviates, train, test)
        both = np.column_stack([signals, prior])
        found[f"{arm}_within"] = auroc_within(deviates, said, task)
        found[f"{arm}_overall"] = auroc(deviates, fit_and_answer(both, observed.deviates, train, test))
    return found


def halve(observed: Observed, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows whose workers are both of one half of them, and those whose are both of the other."""
    rng = np.random.default_rng(seed)
    names = sorted({name for pair in observed.workers for name in pair})
    half = set(rng.permutation(names)[: len(names) // 2].tolist())
    inside = np.array([(one in half) + (other in half) for one, other in observed.workers])
    return np.flatnonzero(inside == 2), np.flatnonzero(inside == 0)


def run_alarm(observed: dict[int, Observed], seed: int) -> dict[str, float]:
    """Return how many quiet and deviating dialogues raise the alarm, at a turn and at any turn."""
    first = observed[TURNS[0]]
    strain = np.full((len(TURNS), first.place.max() + 1), np.nan)
    for row, turn in enumerate(TURNS):
        strain[row, observed[turn].place] = observed[turn].strain
    strain = strain[:, first.place]
    last = (~np.isnan(strain)).sum(axis=0)
    drawn = strain[np.random.default_rng([seed, 1]).integers(last), np.arange(len(last))]
    train, test = halve(first, seed)
    cut = find_cut(drawn[train[~first.deviates[train]]], FALSE_ALARM_RATE)
    if cut is None:
        raise SystemExit("too few quiet dialogues to cut at: is the data whole?")
    found = {}
    for name, rows in (("quiet", test[~first.deviates[test]]), ("deviating", test[first.deviates[test]])):
        found[f"{name}_at_a_turn"] = float((drawn[rows] > cut).mean())
        found[f"{name}_ever"] = float((np.nanmax(strain[:, rows], axis=0) > cut).mean())
    return found


def task_share(observed: Observed, train: np.ndarray) -> np.ndarray:
    """Return the log-odds of a deviation in each dialogue's task, as the training half knows it, smoothed."""
    base = observed.deviates[train].mean()
    count = np.bincount(observed.task[train], minlength=observed.task.max() + 1)
    bad = np.bincount(observed.task[train], observed.deviates[train], minlength=observed.task.max() + 1)
    share = (bad + _SMOOTHING * base) / (count + _SMOOTHING)
    return np.log(share / (1 - share))[observed.task]


def fit_and_answer(signals: np.ndarray, deviates: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Return the score of each tested dialogue, (n,)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=1.0 if signals.shape[1] <= _FEW else 0.01, max_iter=500)
    )
    return model.fit(signals[train], deviates[train]).decision_function(signals[test])


def auroc(truth: np.ndarray, scores: np.ndarray) -> float:
    """Return the share of pairs, one of each kind, in which the deviating one scores higher; ties count half."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth, scores))


def auroc_within(truth: np.ndarray, scores: np.ndarray, task: np.ndarray) -> float:
    """Return ``auroc`` over the pairs within one task, all tasks' pairs together."""
    right, pairs = 0.0, 0
    for one in np.unique(task):
        mine = task == one
        count = int(truth[mine].sum()) * int((~truth[mine]).sum())
        if count:
            right += count * auroc(truth[mine], scores[mine])
            pairs += count
    return right / pairs


def write(found: dict[int, dict[str, dict[str, float]]]) -> None:
    """Write the figures."""
    figures, peers = {}, {}
    for turn in TURNS:
        rounds = [found[seed][str(turn)] for seed in SEEDS]
        within = [one["sentiment_within"] for one in rounds]
        figures[f"turn_{turn}_within_task"] = over_rounds(within, "AUROC", "higher", "")
        gain = [one["sentiment_overall"] - one["task_overall"] for one in rounds]
        figures[f"turn_{turn}_overall_over_task_only"] = over_rounds(gain, "AUROC", "higher", "")
        peers[f"turn_{turn}"] = {name: float(np.mean([one[name] for one in rounds])) for name in rounds[0]}
    for name in found[SEEDS[0]]["alarm"]:
        shares = [100 * found[seed]["alarm"][name] for seed in SEEDS]
        goal = f"at most {FALSE_ALARM_RATE:.0%} and chance" if name == "quiet_at_a_turn" else ""
        figures[f"alarm_{name}"] = over_rounds(shares, "%", "higher" if "deviating" in name else "lower", goal)
    for name, figure in figures.items():
        print(f"{name}: {figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]")
    for name, means in peers.items():
        print(name, {key: round(value, 3) for key, value in means.items()})
    write_result("deviation", command="python -m benchmarks.deviation", seeds=SEEDS, figures=figures, peers=peers)


if __name__ == "__main__":
    main()
