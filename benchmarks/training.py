"""How long until a fine-tuned intent model is as good as the usual way makes it, and how good is it?

Protocol, fixed before the run. BANKING77, official parts, all-MiniLM-L6-v2, seeds 0 to 4. Each run is a process of its
own whose clock starts after the imports: loading the encoder and tokenising count, measuring on the test part does not.
What is timed runs alone on all cores.

- *cold*: the packaged recipe, nothing kept from before. *warm cache*: the same, what frozen layers say was kept.
- *retrain*: a model of all training texts but 200 (drawn by the seed) goes on to learn these, cache warm.
- *peer*: transformers' Trainer over PEFT's LoRA on every linear layer, rank 16. Learning rate, batch and number of
  epochs are tuned on the training part, 70% to train and 30% to measure, seed 100; in bf16 and by length, which paid.
  As our recipe is a file, so is this a setting that stands: ``--tune`` looks for it again (three quarters of an hour).
  Its accuracy after each epoch is that of whole runs, as many at a time as there are cores, one thread each, which
  takes two thirds of the time. Its seconds are the epochs times one epoch, the fastest that this seed showed: alone on
  all cores, or any of its whole run (one thread alone may be faster than two that wait for each other).

Figures: accuracy on the test part, without its texts that stand in the training part but for case, punctuation and
spaces, and without all that have a near copy there (as the product's training sets group them: training.duplicates);
the paired difference to the peer; seconds to the peer's best mean accuracy less 0.3 points as a ratio to the peer's
(ours: the whole run, where it gets there at all; *retrain*: to the peer's whole run); peak memory of the process.

    python -m benchmarks.training --data ../shared/data
"""

import argparse
import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.harness.banking77 import Part, load_banking77, load_recipe
from benchmarks.harness.hf_trainer import PeerSettings, train_peer
from benchmarks.harness.results import Figure, SeedResults, over_rounds, write_result

SEEDS: Final = 5
NEW: Final = 200
_TRIALS: Final = [(rate, batch) for batch in (32, 16) for rate in (5e-4, 1e-3, 2e-3)]
_EPOCHS: Final = 10
_TUNED: Final = {"learning_rate": 1e-3, "batch": 16, "epochs": 9}
_IMPORTED: Final = ("torch", "peft", "transformers", "transformers.models.bert.modeling_bert", "sklearn.linear_model")
_TUNING: Final = "tuning"
_TUNING_SEED: Final = 100


def main() -> None:
    """Run what has no result yet, each in a process of its own, and write the figures."""
    parser = argparse.ArgumentParser(description="time and accuracy of training on BANKING77 beside the Trainer's")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--rows", type=int, default=None, help="train on so many rows, to try it out")
    parser.add_argument("--tune", action="store_true", help="look for the peer's settings, and measure nothing else")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--settings", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.run:
        print(json.dumps(_run(asked)), flush=True)
        return
    protocol = {"version": 2, "recipe": load_recipe(asked.recipe).model_dump(mode="json"), "rows": asked.rows}
    kept = SeedResults("training", protocol)
    if asked.tune:
        print(f"best: {_tune(asked, kept)}; in use: {_TUNED}")
        return
    seeds = range(asked.seeds)
    found = {
        "peer": _play(asked, kept, [_Play("peer", seed, _TUNED) for seed in seeds], at_a_time=os.cpu_count() or 1),
        "epoch": _play(asked, kept, [_Play("epoch", seed, _TUNED | {"epochs": 1}) for seed in seeds]),
        "ours": _play(asked, kept, [_Play("ours", seed, {}) for seed in seeds]),
    }
    _write(asked, found)
    kept.drop()


def _tune(asked: argparse.Namespace, kept: SeedResults) -> dict[str, Any]:
    """Return the peer's settings that do best on 30% of the training part."""
    trials = [{"learning_rate": rate, "batch": batch, "epochs": _EPOCHS} for rate, batch in _TRIALS]
    plays = [
        _Play(f"{_TUNING} {rate} {batch}", _TUNING_SEED, trial)
        for (rate, batch), trial in zip(_TRIALS, trials, strict=True)
    ]
    found = _play(asked, kept, plays, at_a_time=os.cpu_count() or 1)
    reached = [[accuracy for _, accuracy in one["points"][1:]] for one in found]
    for play, curve in zip(plays, reached, strict=True):
        print(f"{play.arm}: {max(curve):.4f} after {np.argmax(curve) + 1} epochs", flush=True)
    best = int(np.argmax([max(curve) for curve in reached]))
    return trials[best] | {"epochs": int(np.argmax(reached[best])) + 1}


@dataclass(frozen=True)
class _Play:
    """One run: what, with which seed, and the peer's settings."""

    arm: str
    seed: int
    settings: dict[str, Any]


def _play(
    asked: argparse.Namespace, kept: SeedResults, plays: Sequence[_Play], *, at_a_time: int = 1
) -> list[dict[str, Any]]:
    """Return the results of ``plays``, from the kept ones or each from a process of its own."""

    def run(play: _Play) -> dict[str, Any]:
        found = kept.find(play.seed, play.arm)
        if found is None:
            command = [sys.executable, "-m", "benchmarks.training", "--data", str(asked.data)]
            command += ["--recipe", asked.recipe, "--run", play.arm.split(maxsplit=1)[0], "--seed", str(play.seed)]
            command += ["--settings", json.dumps(play.settings), *(["--rows", str(asked.rows)] if asked.rows else [])]
            threads = {"OMP_NUM_THREADS": "1"} if at_a_time > 1 else {}
            done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **threads})
            if done.returncode:
                raise SystemExit(f"{play.arm} of seed {play.seed} failed:\n{done.stderr[-3000:]}")
            found = json.loads(done.stdout.splitlines()[-1])
            kept.keep(play.seed, play.arm, found)
        print(f"seed {play.seed} {play.arm}: {found}", flush=True)
        return found

    with ThreadPoolExecutor(at_a_time) as pool:
        return list(pool.map(run, plays))


def _run(asked: argparse.Namespace) -> dict[str, Any]:
    for module in _IMPORTED:
        importlib.import_module(module)
    train, test = load_banking77(asked.data)
    names = tuple(sorted(set(train.labels)))
    if asked.run == _TUNING:
        order = np.random.default_rng(_TUNING_SEED).permutation(len(train.texts))
        cut = int(0.7 * len(order))
        train, test = _take(train, order[:cut]), _take(train, order[cut:])
    if asked.rows:
        train = _take(train, np.random.default_rng(0).permutation(len(train.texts))[: asked.rows])
    if asked.run == "ours":
        return _run_ours(train, test, names, recipe=asked.recipe, seed=asked.seed)
    settings = PeerSettings(**json.loads(asked.settings))
    truth = _numbers(test, names)
    points = train_peer(
        train.texts,
        _numbers(train, names),
        settings,
        seed=asked.seed,
        measure=lambda answer: float((answer(test.texts).argmax(axis=1) == truth).mean()),
    )
    return {"points": points, "memory_gb": _peak()}


def _run_ours(train: Part, test: Part, names: tuple[str, ...], *, recipe: str, seed: int) -> dict[str, Any]:
    from training.activations import ActivationCache
    from training.duplicates import straddling
    from training.encoder import load_encoder
    from training.features import embed_texts
    from training.finetune import Examples, Surroundings, WarmStart, finetune
    from training.heads import apply_head
    from training.quadratic import QuadraticHead

    how, order = load_recipe(recipe), np.random.default_rng(seed).permutation(len(train.texts))
    dev_rows, train_rows = np.split(order, [int(how.dev_share * len(order))])
    truth = _numbers(test, names)
    copies, near = (straddling(train.texts, test.texts, near=near) for near in (False, True))

    def examples(rows: np.ndarray) -> Examples:
        return Examples([train.texts[row] for row in rows], [train.labels[row] for row in rows], [1.0] * len(rows))

    def play(rows: np.ndarray, cache: ActivationCache, warm: WarmStart | None = None) -> tuple[Any, dict[str, Any]]:
        began = time.monotonic()
        around = Surroundings(cache=cache)
        encoder = load_encoder(how.encoder)
        made = finetune(
            encoder, examples(rows), examples(dev_rows), names=names, recipe=how, seed=seed, warm=warm, around=around
        )
        seconds = time.monotonic() - began
        features = embed_texts(encoder, test.texts, pooled_layers=how.pooled_layers)
        right = apply_head(features, made.head).argmax(axis=1) == truth
        return made, {
            "seconds": seconds,
            "accuracy": float(right.mean()),
            "accuracy_without_copies": float(right[~copies].mean()),
            "accuracy_without_near_copies": float(right[~near].mean()),
        }

    with tempfile.TemporaryDirectory() as folder:
        cache = ActivationCache(Path(folder), key=b"benchmark", max_bytes=10**11)
        cold = play(train_rows, cache)[1] | {"memory_gb": _peak()}
        again = play(train_rows, cache)[1]
        before = play(train_rows[NEW:], cache)[0]
        weights = [n for n, one in before.adapted.adapter.named_parameters() if one.requires_grad]
        adapter = dict(zip([name.replace(".default.", ".") for name in weights], before.adapted.state(), strict=True))
        is_known = np.concatenate([np.arange(len(train_rows)) >= NEW, np.ones(len(dev_rows), dtype=bool)])
        head = None if isinstance(before.head, QuadraticHead) else before.head
        retrain = play(train_rows, cache, WarmStart(adapter, head, is_known))[1]
    return {"cold": cold, "warm_cache": again, "retrain": retrain}


def _write(asked: argparse.Namespace, found: dict[str, list[dict[str, Any]]]) -> None:
    best = [one["points"][-1][1] for one in found["peer"]]
    curves = np.array([[accuracy for _, accuracy in one["points"]] for one in found["peer"]])
    target = float(curves.mean(axis=0).max()) - 0.003
    timed = [_fastest_epoch(alone, whole) for alone, whole in zip(found["epoch"], found["peer"], strict=True)]
    peer_seconds = [
        each * (int(np.argmax(curve >= target)) if curve.max() >= target else len(curve) - 1)
        for each, curve in zip(timed, curves, strict=True)
    ]
    whole = [each * (curves.shape[1] - 1) for each in timed]
    figures: dict[str, Figure] = {}
    for start in ("cold", "warm_cache", "retrain"):
        runs = [one[start] for one in found["ours"]]
        figures[f"{start}_accuracy"] = over_rounds([100 * run["accuracy"] for run in runs], "%", "higher", "")
        seconds = [run["seconds"] for run in runs]
        beside = whole if start == "retrain" else peer_seconds
        goal = {"cold": "<= 0.1", "retrain": "<= 0.02"}.get(start, "")
        ratios = [mine / theirs for mine, theirs in zip(seconds, beside, strict=True)]
        figures[f"{start}_seconds_over_peer"] = over_rounds(ratios, "times", "lower", goal)
    cold = [one["cold"] for one in found["ours"]]
    figures["cold_accuracy"] = over_rounds([100 * run["accuracy"] for run in cold], "%", "higher", ">= 93.9")
    for left_out in ("without_copies", "without_near_copies"):
        rest = [100 * run[f"accuracy_{left_out}"] for run in cold]
        figures[f"cold_accuracy_{left_out}"] = over_rounds(rest, "%", "higher", "")
    less = [100 * (run["accuracy"] - peer) for run, peer in zip(cold, best, strict=True)]
    figures["accuracy_less_peer"] = over_rounds(less, "points", "higher", ">= -0.2")
    lost = [100 * (one["retrain"]["accuracy"] - one["cold"]["accuracy"]) for one in found["ours"]]
    figures["retrain_less_cold"] = over_rounds(lost, "points", "higher", ">= -0.3")
    figures["memory"] = over_rounds([run["memory_gb"] for run in cold], "GB", "lower", "<= 1.5")
    peers = {
        "settings": _TUNED,
        "target_accuracy": target,
        "accuracy": float(np.mean(best)),
        "accuracy_by_epoch": curves.tolist(),
        "seconds_to_target": peer_seconds,
        "seconds_of_an_epoch_alone": [float(np.diff([at for at, _ in one["points"]])[0]) for one in found["epoch"]],
        "seconds": whole,
        "memory_gb": float(np.mean([one["memory_gb"] for one in found["peer"]])),
        "ours_by_seed": found["ours"],
    }
    command = f"python -m benchmarks.training --data ../shared/data --recipe {asked.recipe}"
    write_result("training", command=command, seeds=list(range(asked.seeds)), figures=figures, peers=peers)
    for name, figure in figures.items():
        print(f"{name:32s} {figure.value:.4f} ({figure.low:.4f} to {figure.high:.4f}) {figure.goal}")


def _fastest_epoch(*runs: dict[str, Any]) -> float:
    """Return the seconds of the fastest epoch of ``runs``, what came before the first left out."""
    return min(float(np.diff([seconds for seconds, _ in run["points"]]).min()) for run in runs)


def _take(part: Part, rows: np.ndarray) -> Part:
    return Part([part.texts[row] for row in rows], [part.labels[row] for row in rows])


def _numbers(part: Part, names: tuple[str, ...]) -> np.ndarray:
    place = {name: position for position, name in enumerate(names)}
    return np.array([place[label] for label in part.labels])


def _peak() -> float:
    """Return the most memory that this process had, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


if __name__ == "__main__":
    main()
