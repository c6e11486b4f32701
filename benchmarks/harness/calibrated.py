"""What one calibrated model says of a pool of messages: a logistic head on frozen features, fitted once and kept."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import Final

import numpy as np
import polars as pl

from benchmarks.harness.banking77 import load_recipe
from labeling.vocabulary import NONE_OF_THESE
from serving.handoff.cases import GROUPS, Answers, Cases
from serving.handoff.fitting import Outcomes
from serving.sentiment_path import TurnSentiment
from training.calibration import fit_temperature
from training.encoder import load_encoder
from training.features import embed_texts
from training.heads import apply_head, choose_penalty, fit_head
from training.novelty import fit_novelty
from training.scoring import Scores, softmax

TASK: Final = "intent"
KEPT: Final = Path(gettempdir()) / "cxloop-calibrated"
"""Where answers are kept, so that two benchmarks read the texts once."""

_DEV_SHARE: Final = 0.15


@dataclass(frozen=True)
class Pool:
    """n messages: what the models say of them (``cases``), and their true labels, (n,)."""

    cases: Cases
    truth: np.ndarray

    @property
    def wrong(self) -> np.ndarray:
        """Which answers are wrong, (n,) bool."""
        return np.array(self.cases.answers[TASK].labels, dtype=object) != self.truth

    def take(self, rows: np.ndarray) -> "Pool":
        """Return the messages of ``rows``."""
        return Pool(self.cases.take(rows), self.truth[rows])

    def outcomes(self) -> Outcomes:
        """Return what people would say of them."""
        return Outcomes({TASK: list(self.truth)}, np.zeros(len(self.truth), dtype=bool))


def banking77_pool(data: Path, kept: Path) -> tuple[Pool, Pool]:
    """Return BANKING77's test texts, and natcs's insurance requests, which are out of its scope.

    The head is fitted on the training texts, the temperature on the answers that a head which has not seen 15% of
    these gives to them.

    Args:
        data: where the data sets are.
        kept: a folder to keep features and answers in.
    """
    table = pl.read_csv(data / "banking77.csv")
    train, test = (table.filter(pl.col("split") == split) for split in ("train", "test"))
    strange = pl.read_csv(data / "natcs_utterances.csv").filter(pl.col("split") == "development")
    outside = pl.Series("label", [NONE_OF_THESE] * strange.height)
    return _pools(kept / "banking77.npz", data, train, test, strange.with_columns(outside))


def natcs_pool(data: Path, kept: Path) -> Pool:
    """Return the half of natcs (drawn by seed 0, intents of 20 requests and more) that its model did not learn from."""
    table = pl.read_csv(data / "natcs_utterances.csv").filter(pl.len().over("label") >= 20)
    order = np.random.default_rng(0).permutation(table.height)
    half = table.height // 2
    return _pools(kept / "natcs.npz", data, table[order[:half].tolist()], table[order[half:].tolist()])[0]


def _pools(path: Path, data: Path, train: pl.DataFrame, *tests: pl.DataFrame) -> tuple[Pool, ...]:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **_answer(data, train, tests))
    with np.load(path, allow_pickle=False) as found:
        return tuple(
            _pool({name: found[f"{name}{part}"] for name in _NAMES}, found["labels"]) for part in range(len(tests))
        )


_NAMES: Final = ("probabilities", "novelty", "truth", "mood")


def _answer(data: Path, train: pl.DataFrame, tests: Sequence[pl.DataFrame]) -> dict[str, np.ndarray]:
    began = time.monotonic()
    recipe = load_recipe("default")
    encoder = load_encoder(recipe.encoder)
    names = sorted(train["label"].unique())
    features = embed_texts(encoder, train["text"].to_list())
    targets = np.array([names.index(label) for label in train["label"]])
    head, temperature = _fit(features, targets, recipe.head)
    novelty, mood = fit_novelty(features, targets), _fit_mood(data, encoder)
    found = {"labels": np.array(names)}
    for part, test in enumerate(tests):
        read = embed_texts(encoder, test["text"].to_list())
        logits = apply_head(read, head)
        found |= {
            f"probabilities{part}": softmax(logits, temperature),
            f"novelty{part}": novelty.measure(read, logits),
            f"truth{part}": np.array(test["label"].to_list()),
            f"mood{part}": softmax(apply_head(read, mood[0]), mood[1]) @ np.array([-1.0, 0.0, 1.0], dtype=np.float32),
        }
    print(f"read and answered once in {time.monotonic() - began:.0f} s", flush=True)
    return found


def _fit(features: np.ndarray, targets: np.ndarray, recipe: object) -> tuple[tuple[np.ndarray, np.ndarray], float]:
    """Return a head on all rows, with a penalty and a temperature chosen on rows held out."""
    rows = np.random.default_rng(0).permutation(len(targets))
    dev, rest = np.split(rows, [int(_DEV_SHARE * len(rows))])
    weights = np.ones(len(rows))
    penalty = choose_penalty(features, targets, weights, held_out=[dev], recipe=recipe)
    part = fit_head(features[rest], targets[rest], weights[rest], inverse_penalty=penalty, max_iterations=200)
    temperature = fit_temperature(apply_head(features[dev], part), targets[dev])
    return fit_head(features, targets, weights, inverse_penalty=penalty, max_iterations=200), temperature


def _fit_mood(data: Path, encoder: object) -> tuple[tuple[np.ndarray, np.ndarray], float]:
    """Return a head that reads mood, learnt from the rated tweets."""
    table = pl.read_csv(data / "vader_ratings" / "tweets.csv")
    moods = ("negative", "neutral", "positive")
    targets = np.array([moods.index(label) for label in table["label"]])
    return _fit(embed_texts(encoder, table["text"].to_list()), targets, load_recipe("default").head)


def _pool(found: dict[str, np.ndarray], labels: np.ndarray) -> Pool:
    count = len(found["truth"])
    scores = Scores(tuple(labels.tolist()), found["probabilities"], found["novelty"])
    moods = [(TurnSentiment("negative" if score < 0 else "positive", float(score)),) for score in found["mood"]]
    cases = Cases(
        texts=["a message"] * count,
        answers={TASK: Answers.of(scores, scores)},
        changed=[""] * count,
        moods=moods,
        wishes=np.zeros(count, dtype=bool),
        repetition=np.zeros(count),
        groups={kind: [None] * count for kind in GROUPS},
    )
    return Pool(cases, np.array(found["truth"].tolist(), dtype=object))


def mix(one: Pool, other: Pool, share: float, rng: np.random.Generator) -> Pool:
    """Return ``one`` with so many of ``other``, drawn by ``rng``, that these are ``share`` of all."""
    count = round(len(one.truth) * share / (1 - share))
    drawn = other.take(rng.choice(len(other.truth), size=count, replace=False))
    return _join(one, drawn)


def _join(one: Pool, other: Pool) -> Pool:
    mine, theirs = one.cases.answers[TASK], other.cases.answers[TASK]
    scores = Scores(
        mine.scores.labels,
        np.vstack([mine.scores.probabilities, theirs.scores.probabilities]),
        np.concatenate([mine.scores.novelty, theirs.scores.novelty]),
    )
    cases = Cases(
        texts=[*one.cases.texts, *other.cases.texts],
        answers={TASK: Answers.of(scores, scores)},
        changed=[*one.cases.changed, *other.cases.changed],
        moods=[*one.cases.moods, *other.cases.moods],
        wishes=np.concatenate([one.cases.wishes, other.cases.wishes]),
        repetition=np.concatenate([one.cases.repetition, other.cases.repetition]),
        groups={kind: [*one.cases.groups[kind], *other.cases.groups[kind]] for kind in GROUPS},
    )
    return Pool(cases, np.concatenate([one.truth, other.truth]))
