"""Does fine-tuning read sentiment better than frozen features, and better than VADER itself?

Protocol, fixed before the run. `vader_ratings`: 4,200 tweets and 3,708 sentences of product reviews, each rated from -4
to 4 by some twenty people; the label is negative, neutral or positive by the mean rating cut at 0.5 either way. Seeds 0
to 4. Each seed cuts each set: a fifth of its groups is the test part, a group being texts that are near copies (cosine
of frozen features of at least 0.95) or sentences of one review. A model is trained on the rest (hard labels; a dev part
of it, drawn by group, chooses epochs, penalty and VADER's cuts) and tested twice: at home on the test part, and away on
all texts of the other set, less those near to one that it was trained on. By the same rules a third model is trained on
both sets in one and tested on a fifth of that. Recipes were tried on cuts of seeds from 100, of tweets alone.

Peers on the same texts: a logistic regression on frozen features (the product's, penalty chosen on dev); VADER (Hutto
and Gilbert, 2014) at its own cuts of 0.05; and VADER with both cuts chosen on all training texts. VADER's makers wrote
its lexicon and rules with texts of these very kinds and these raters at hand: on tweets it is at home. The recipe's
head reads VADER's numbers too, beside what the encoder says.

Figures: accuracy and macro-F1, mean over seeds; gains are paired, with an interval from 2,000 draws of seeds and,
within them, of texts (one draw of texts for all seeds and arms).

    python -m benchmarks.sentiment --data ../shared/data
"""

import argparse
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from benchmarks.harness.banking77 import load_recipe
from benchmarks.harness.results import Figure, SeedResults, over_rounds, write_result
from training.encoder import load_encoder
from training.features import embed_texts
from training.finetune import Examples, finetune
from training.heads import apply_head, choose_penalty, fit_head
from training.lexicon import add_lexicon
from training.recipe import LogisticRecipe, Recipe

SEEDS: Final = 5
SETS: Final = {"tweets": "tweets.csv", "snippets": "amazonReviewSnippets.csv"}
BOTH: Final = "both"
TESTS: Final = (*itertools.product(SETS, ("home", "away")), (BOTH, "home"))
MOODS: Final = ("negative", "neutral", "positive")
PEERS: Final = ("logistic_regression", "vader", "vader_tuned")
_NEAR: Final = 0.95
_TEST_SHARE: Final = 0.2
_DRAWS: Final = 2000
_GOAL: Final = "interval above 0"


@dataclass(frozen=True)
class Mood:
    """One set: texts, their sentiment as a number, frozen features, VADER's compound score in [-1, 1], and groups."""

    texts: list[str]
    targets: np.ndarray
    features: np.ndarray
    compound: np.ndarray
    groups: np.ndarray


def main() -> None:
    """Run every seed and set that has no result yet, and write the figures."""
    parser = argparse.ArgumentParser(description="accuracy and macro-F1 of sentiment, at home and away")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--recipe", default="sentiment")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument(
        "--only", nargs="*", choices=(*SETS, BOTH), help="train on these alone; two may run side by side"
    )
    asked = parser.parse_args()
    recipe = load_recipe(asked.recipe)
    kept = SeedResults("sentiment", {"near": _NEAR, "recipe": recipe.model_dump(mode="json")})
    seeds, moods = list(range(asked.seeds)), {}
    homes = asked.only or [*SETS, BOTH]
    for seed, home in itertools.product(seeds, homes):
        if kept.find(seed, home) is None:
            moods = moods or load_all(asked.data)
            away = next((moods[name] for name in SETS if name != home), None) if home != BOTH else None
            began = time.monotonic()
            kept.keep(seed, home, run_seed(moods[home], away, recipe=recipe, seed=seed))
            said = {place: summarise(found) for place, found in kept.find(seed, home).items()}
            print(f"seed {seed}, trained on {home}: {time.monotonic() - began:.0f} s", said, flush=True)
    found = {(seed, home): kept.find(seed, home) for seed, home in itertools.product(seeds, (*SETS, BOTH))}
    if all(found.values()):
        _write(asked.recipe, found, seeds)
        kept.drop()


def load_all(data: Path) -> dict[str, Mood]:
    """Read each set, and both in one."""
    moods = {name: load(data, name) for name in SETS}
    one, other = moods.values()
    features, targets, compound = (
        np.concatenate([getattr(one, name), getattr(other, name)]) for name in ("features", "targets", "compound")
    )
    keys = [f"{name} {group}" for name, mood in moods.items() for group in mood.groups]
    return {**moods, BOTH: Mood(one.texts + other.texts, targets, features, compound, _group(features, keys))}


def load(data: Path, name: str) -> Mood:
    """Read one set."""
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    table = pl.read_csv(data / "vader_ratings" / SETS[name])
    texts = table["text"].to_list()
    features = embed_texts(load_encoder(load_recipe("default").encoder), texts)
    vader = SentimentIntensityAnalyzer()
    compound = np.array([vader.polarity_scores(text)["compound"] for text in texts])
    reviews = table["id"].to_list() if name == "tweets" else [key.rsplit("_", 1)[0] for key in table["id"]]
    targets = np.array([MOODS.index(label) for label in table["label"]])
    return Mood(texts, targets, features, compound, _group(features, reviews))


def run_seed(home: Mood, away: Mood | None, *, recipe: Recipe, seed: int) -> dict[str, Any]:
    """Return, by place, the rows tested, their targets and what each arm said of them."""
    rng = np.random.default_rng(seed)
    groups = rng.permutation(home.groups.max() + 1)
    cut = int(_TEST_SHARE * len(groups))
    rest = groups[cut:]
    dev_groups = rest[: int(recipe.dev_share * len(rest))]
    test = np.flatnonzero(np.isin(home.groups, groups[:cut]))
    dev = np.flatnonzero(np.isin(home.groups, dev_groups))
    train = np.setdiff1d(np.arange(len(home.texts)), np.concatenate([test, dev]))
    known = np.concatenate([train, dev])
    tests = {"home": (home, test)}
    if away is not None:
        tests["away"] = away, np.flatnonzero((away.features @ home.features[known].T).max(axis=1) < _NEAR)
    arms = {
        "ours": _train_ours(home, train, dev, recipe=recipe, seed=seed),
        "logistic_regression": _train_logistic(home, train, dev, recipe=load_recipe("default").head),
        "vader": lambda mood, rows: cut_compound(mood.compound[rows], -0.05, 0.05),
        "vader_tuned": _tune_vader(home, known),
    }
    return {
        place: {
            "rows": rows.tolist(),
            "targets": mood.targets[rows].tolist(),
            "said": {name: arm(mood, rows).tolist() for name, arm in arms.items()},
        }
        for place, (mood, rows) in tests.items()
    }


Arm = Callable[[Mood, np.ndarray], np.ndarray]


def _train_ours(home: Mood, train: np.ndarray, dev: np.ndarray, *, recipe: Recipe, seed: int) -> Arm:
    parts = [
        Examples([home.texts[row] for row in rows], [MOODS[home.targets[row]] for row in rows], [1.0] * len(rows))
        for rows in (train, dev)
    ]
    model = finetune(load_encoder(recipe.encoder), *parts, names=MOODS, recipe=recipe, seed=seed)

    def answer(mood: Mood, rows: np.ndarray) -> np.ndarray:
        texts = [mood.texts[row] for row in rows]
        told = embed_texts(model.adapted.encoder, texts, pooled_layers=recipe.pooled_layers)
        return apply_head(add_lexicon(told, texts, recipe.lexicon), model.head).argmax(axis=1)

    return answer


def _train_logistic(home: Mood, train: np.ndarray, dev: np.ndarray, *, recipe: LogisticRecipe) -> Arm:
    known = np.concatenate([train, dev])
    features, targets, weights = home.features[known], home.targets[known], np.ones(len(known))
    held_out = [np.arange(len(train), len(known))]
    penalty = choose_penalty(features, targets, weights, held_out=held_out, recipe=recipe)
    head = fit_head(features, targets, weights, inverse_penalty=penalty, max_iterations=recipe.max_iterations)
    return lambda mood, rows: apply_head(mood.features[rows], head).argmax(axis=1)


def _tune_vader(home: Mood, known: np.ndarray) -> Arm:
    """Choose the two cuts that get most of the texts right."""
    cuts = np.linspace(-0.95, 0.95, 39)
    pairs = [(low, high) for low, high in itertools.product(cuts, cuts) if low <= high]
    targets, compound = home.targets[known], home.compound[known]
    best = max(pairs, key=lambda pair: (cut_compound(compound, *pair) == targets).mean())
    return lambda mood, rows: cut_compound(mood.compound[rows], *best)


def cut_compound(compound: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return the sentiment by number: negative up to ``low``, positive from ``high`` on."""
    return np.where(compound >= high, 2, np.where(compound <= low, 0, 1))


def _group(features: np.ndarray, keys: Sequence[str]) -> np.ndarray:
    """Return a group number for each text: near copies and equal keys share one."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    _, key = np.unique(np.array(keys), return_inverse=True)
    _, first = np.unique(key, return_index=True)
    one, other = np.nonzero(np.triu(features @ features.T >= _NEAR))
    ends = np.concatenate([one, np.arange(len(key))]), np.concatenate([other, first[key]])
    graph = coo_array((np.ones(len(ends[0])), ends), shape=(len(key), len(key)))
    return connected_components(graph, directed=False)[1]


def score(targets: np.ndarray, said: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return accuracy and macro-F1, each in [0, 1]; ``weights`` are how often each text counts."""
    confusion = np.bincount(3 * targets + said, weights=weights, minlength=9).reshape(3, 3)
    right, sizes = np.diag(confusion), confusion.sum(axis=0) + confusion.sum(axis=1)
    return np.array([right.sum() / confusion.sum(), np.mean(2 * right / np.maximum(sizes, 1))])


def summarise(found: dict[str, Any]) -> dict[str, list[float]]:
    """Return accuracy and macro-F1 of each arm."""
    targets = np.array(found["targets"])
    return {name: score(targets, np.array(said)).round(4).tolist() for name, said in found["said"].items()}


def bootstrap_gain(rounds: Sequence[dict[str, Any]], peer: str, rng: np.random.Generator) -> np.ndarray:
    """Return the mean gain over ``peer`` and its 95% interval, (3, 2): value, low, high by accuracy, macro-F1."""
    arrays = [
        tuple(np.array(part) for part in (one["rows"], one["targets"], one["said"]["ours"], one["said"][peer]))
        for one in rounds
    ]
    texts = max(int(rows.max()) for rows, *_ in arrays) + 1
    value = np.mean([score(truth, ours) - score(truth, theirs) for _, truth, ours, theirs in arrays], axis=0)
    drawn = np.empty((_DRAWS, 2))
    for draw in range(_DRAWS):
        often = np.bincount(rng.integers(texts, size=texts), minlength=texts)
        gains = []
        for place in rng.integers(len(arrays), size=len(arrays)):
            rows, truth, ours, theirs = arrays[place]
            gains.append(score(truth, ours, often[rows]) - score(truth, theirs, often[rows]))
        drawn[draw] = np.mean(gains, axis=0)
    return np.vstack([value, np.quantile(drawn, [0.025, 0.975], axis=0)])


def _write(recipe: str, found: dict[tuple[int, str], dict[str, Any]], seeds: list[int]) -> None:
    figures: dict[str, Figure] = {}
    peers: dict[str, Any] = {peer: {} for peer in PEERS}
    for home, place in TESTS:
        rounds = [found[seed, home][place] for seed in seeds]
        name = home if place == "home" else f"{home}_to_{next(other for other in SETS if other != home)}"
        scores = {arm: np.array([summarise(one)[arm] for one in rounds]) for arm in ("ours", *PEERS)}
        for column, measure in enumerate(("accuracy", "macro_f1")):
            figures[f"{name}_{measure}"] = over_rounds(scores["ours"][:, column].tolist(), "share", "higher", "")
        for peer in PEERS:
            peers[peer][name] = dict(zip(("accuracy", "macro_f1"), scores[peer].mean(axis=0).tolist(), strict=True))
            gain = bootstrap_gain(rounds, peer, np.random.default_rng(0))
            for column, measure in enumerate(("accuracy", "macro_f1")):
                goal = _GOAL if peer != "vader_tuned" else ""
                gained = Figure(*(float(value) for value in gain[:, column]), "share", "higher", goal)
                figures[f"{name}_{measure}_over_{peer}"] = gained
    command = f"python -m benchmarks.sentiment --recipe {recipe}"
    write_result("sentiment", command=command, seeds=seeds, figures=figures, peers=peers)
    for name, figure in figures.items():
        print(name, figure)


if __name__ == "__main__":
    main()
