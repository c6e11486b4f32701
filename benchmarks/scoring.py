"""How fast are messages scored, beside transformers' pipeline and sentence-transformers, and what does it cost?

Protocol, fixed before the run. BANKING77, MiniLM-L6 with a packaged recipe. By seed, 15% of the official training part
is held out as calibrate and a model is trained on the rest; it is then lowered to bf16 and to int8 on calibrate
(training.lowering), each with and without a first reader, which is fitted on calibrate too. All arms score the merged
model of that seed, on all cores: ours in fp32, bf16 and int8, and the last two with the first reader ("first");
`transformers.pipeline`, one text a call; `sentence-transformers` encode (mean pooling, its own sorting) and the head,
in torch fp32, and by its own ONNX backend in int8 where its extra is installed (CONTRIBUTING.md). Everything is loaded
and has scored once before the clock starts; tokenising is within it.

Peers are tuned on texts of the training part, once: pipeline by threads (one, all), sentence-transformers by threads
and batch size. Then, by seed and for five rounds, the arms score the same texts of the test part in an order that turns
by one a round; a ratio is taken within a round, a seed's is the median of its rounds. Figures are means over seeds with
95% t intervals. Points lost: accuracy on the whole test part in fp32 less the accuracy of the faster option. Memory:
peak of a process that streams a million texts in int8 with the first reader, and what of it came after the first 2%.

    python -m benchmarks.scoring --data ../shared/data --recipe intent
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from benchmarks.harness.banking77 import load_recipe
from benchmarks.harness.results import Figure, SeedResults, over_rounds, write_result
from benchmarks.harness.scoring_peers import Answer, prepare_pipeline, prepare_sentence_transformers, save_merged
from labeling.tables import LABELS
from labeling.taxonomy import Label, Task
from training.candidate import train_candidate
from training.lowering import add_first_reader, lower_precision
from training.recipe import Recipe
from training.scoring import Scorer
from training.training_set import TrainingSet, freeze_training_set

SEEDS: Final = (0, 1, 2, 3, 4)
ROUNDS: Final = 5
TEXTS: Final = 1000
ONE_BY_ONE: Final = 100
STREAMED: Final = 1_000_000
HELD_OUT: Final = 0.15
BATCHES: Final = (16, 32, 64, 128)
LOWERED: Final = ("bf16", "int8")
OURS: Final = ("fp32", *LOWERED, *(f"{precision}_first" for precision in LOWERED))
_NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
_PIPELINE, _SENTENCES, _SENTENCES_INT8 = "pipeline", "sentence_transformers", "sentence_transformers_int8"


def main() -> None:
    """Run what has no result yet, and write the figures."""
    asked = _parse()
    about = {"texts": asked.texts, "rounds": asked.rounds, "rows": asked.rows, "recipe": asked.recipe}
    kept = SeedResults("scoring", about)
    data = read_banking77(asked.data, asked.rows)
    seeds: list[int] = list(SEEDS[: asked.seeds])
    for seed in seeds:
        arms = [f"speed {round_}" for round_ in range(asked.rounds)]
        if any(kept.find(seed, arm) is None for arm in ("accuracy", *arms)):
            _run_seed(kept, data, seed, asked)
    folder = asked.models / "0-int8_first"
    memory = _once(kept, 0, f"memory {asked.streamed}", lambda: stream(folder, asked.streamed))
    figures, peers = summarise(kept, seeds, asked.rounds, memory)
    for name, figure in figures.items():
        print(f"{name}: {figure.value:.4g} ({figure.low:.4g} to {figure.high:.4g}) {figure.unit} {figure.goal}")
    if (asked.rows, asked.seeds, asked.texts, asked.streamed) == (0, len(SEEDS), TEXTS, STREAMED):
        command = f"python -m benchmarks.scoring --data ../shared/data --recipe {asked.recipe}"
        write_result("scoring", command=command, seeds=seeds, figures=figures, peers=peers)
        kept.drop()


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="how fast messages are scored")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--models", type=Path, default=Path(tempfile.gettempdir()) / "cxloop-scoring")
    parser.add_argument("--onnx-peer", type=Path, default=Path(sys.prefix) / "onnx-peer")
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--seeds", type=int, default=len(SEEDS))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--texts", type=int, default=TEXTS)
    parser.add_argument("--streamed", type=int, default=STREAMED)
    parser.add_argument("--rows", type=int, default=0, help="training rows, for a quick look; 0: all")
    return parser.parse_args()


def read_banking77(data: Path, rows: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return training and test part with labels as the taxonomy spells them; of the first ``rows`` rows, 0 for all."""
    plain = pl.col("label").str.to_lowercase().str.replace_all("[^a-z0-9_]", "")
    table = pl.read_csv(data / "banking77.csv").with_columns(plain)
    train = table.filter(split="train").with_row_index("row")
    train = train.with_columns(interaction_id=pl.format("i-{}", pl.col("row").cast(pl.String).str.zfill(5)))
    return train.sample(rows, seed=0) if rows else train, table.filter(split="test")


def _run_seed(kept: SeedResults, data: tuple[pl.DataFrame, pl.DataFrame], seed: int, asked: argparse.Namespace) -> None:
    train, test = data
    folders = {name: asked.models / f"{seed}-{name}" for name in OURS}
    if not (asked.models / f"{seed}.whole").exists():
        make_models(train, seed, folders, load_recipe(asked.recipe).model_copy(update={"answers_in": "fp32"}))
        (asked.models / f"{seed}.whole").touch()
    scorers = {name: Scorer.load(folder) for name, folder in folders.items()}
    accuracy = {name: _accuracy(scorer, test) for name, scorer in scorers.items()}
    _once(kept, seed, "accuracy", lambda: accuracy)
    with (
        tempfile.TemporaryDirectory() as merged,
        open_peers(kept, Path(merged), scorers["fp32"], train["text"].to_list(), asked.onnx_peer) as peers,
    ):
        ours = {name: _timed(lambda texts, scorer=scorer: scorer.score(texts)) for name, scorer in scorers.items()}
        arms = {**ours, **peers}
        chosen = test.sample(min(asked.texts, test.height), seed=seed)["text"].to_list()
        for run in arms.values():
            run(chosen[:ONE_BY_ONE])
        for number in range(asked.rounds):
            _once(kept, seed, f"speed {number}", lambda number=number: _run_round(arms, chosen, number))


def make_models(train: pl.DataFrame, seed: int, folders: Mapping[str, Path], recipe: Recipe) -> None:
    """Train one model, and lower copies of it."""
    held = np.random.default_rng(seed).random(train.height) < HELD_OUT
    rest, calibrate = train.filter(pl.Series(~held)), train.filter(pl.Series(held))
    frozen, texts = freeze(rest, recipe), rest.select("interaction_id", "text")
    held_out = calibrate.select("text", "label")
    train_candidate(frozen, texts, calibrate=held_out, recipe=recipe, folder=folders["fp32"], seed=seed)
    learnt = rest["text"].to_list(), rest["label"].to_list()
    said = held_out["text"].to_list(), held_out["label"].to_list()
    for precision in LOWERED:
        for name, source in ((precision, "fp32"), (f"{precision}_first", precision)):
            shutil.rmtree(folders[name], ignore_errors=True)
            shutil.copytree(folders[source], folders[name])
            if name == precision:
                lower_precision(folders[name], precision, texts=said[0], labels=said[1])
            else:
                add_first_reader(folders[name], learnt=learnt, held_out=said)


def freeze(rows: pl.DataFrame, recipe: Recipe) -> TrainingSet:
    """Return ``rows`` (interaction_id, text, label) as the product's training set."""
    names = sorted(rows["label"].unique())
    task = Task(name="intent", question="?", labels=tuple(Label(name=name, title=name) for name in names))
    settled = rows.select("interaction_id", "label", task=pl.lit("intent"), confidence=1.0, settled_at=pl.lit(_NOW))
    labels, texts = LABELS.frame(settled.to_dicts()), rows.select("interaction_id", "text")
    return freeze_training_set(labels, texts, task=task, key=b"scoring", dev_share=recipe.dev_share, now=_NOW)


Timed = Callable[[Sequence[str]], float]
"""Scores texts and returns the seconds that it took."""


@contextmanager
def open_peers(
    kept: SeedResults, folder: Path, scorer: Scorer, development: Sequence[str], onnx_peer: Path
) -> Iterator[dict[str, Timed]]:
    """Yield the peers of the merged model in ``folder``, tuned once on ``development`` texts."""
    save_merged(scorer, folder)
    labels, sample = len(scorer.labels), list(development[:: max(1, len(development) // 300)])[:300]
    pipeline = prepare_pipeline(folder, labels)
    best = _once(kept, 0, "tuned", lambda: tune(folder, pipeline, sample))
    encode = prepare_sentence_transformers(folder, batch=best[_SENTENCES]["batch"])
    peers = {
        _PIPELINE: _timed(pipeline, threads=best[_PIPELINE]["threads"]),
        _SENTENCES: _timed(encode, threads=best[_SENTENCES]["threads"]),
    }
    if not onnx_peer.is_dir():
        print(f"no {onnx_peer}: sentence-transformers' int8 backend is left out", flush=True)
        yield peers
        return
    command = [sys.executable, "-m", "benchmarks.harness.scoring_peers", str(folder), str(best[_SENTENCES]["batch"])]
    path = f"{onnx_peer}:{Path(__file__).parents[1]}"
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True, env={**os.environ, "PYTHONPATH": path}) as process:
        _read(process, "ready")
        yield {**peers, _SENTENCES_INT8: lambda texts: json.loads(_ask(process, json.dumps(list(texts))))["seconds"]}
        process.terminate()


def tune(folder: Path, pipeline: Answer, sample: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return the fastest threads of the pipeline, and threads and batch size of sentence-transformers."""
    import torch

    found: dict[str, dict[tuple[int, int], float]] = {_PIPELINE: {}, _SENTENCES: {}}
    for threads in sorted({1, torch.get_num_threads()}):
        found[_PIPELINE][threads, 1] = min(_timed(pipeline, threads=threads)(sample[:30]) for _ in range(3))
        for batch in BATCHES:
            run = _timed(prepare_sentence_transformers(folder, batch=batch), threads=threads)
            found[_SENTENCES][threads, batch] = min(run(sample) for _ in range(3))
    best = {name: min(seconds, key=seconds.__getitem__) for name, seconds in found.items()}
    return {name: {"threads": threads, "batch": batch} for name, (threads, batch) in best.items()}


def _timed(score: Callable[[Sequence[str]], Any], *, threads: int = 0) -> Timed:
    """Return ``score`` with a clock, on so many of torch's threads; 0 leaves them as they are."""
    import torch

    def run(texts: Sequence[str]) -> float:
        before = torch.get_num_threads()
        torch.set_num_threads(threads or before)
        began = time.perf_counter()
        score(texts)
        taken = time.perf_counter() - began
        torch.set_num_threads(before)
        return taken

    return run


def _run_round(arms: Mapping[str, Timed], texts: Sequence[str], number: int) -> dict[str, float]:
    """Return texts a second by arm; the order of the arms turns by one a round."""
    names = [*arms][number % len(arms) :] + [*arms][: number % len(arms)]
    speed = {}
    for name in names:
        part = texts[:ONE_BY_ONE] if name == _PIPELINE else texts
        speed[name] = len(part) / arms[name](part)
    return speed


def stream(folder: Path, count: int) -> list[dict[str, float]]:
    """Return what ``benchmarks.harness.streaming`` says of ``count`` texts."""
    command = [sys.executable, "-m", "benchmarks.harness.streaming", str(folder), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def summarise(
    kept: SeedResults, seeds: Sequence[int], rounds: int, memory: Sequence[Mapping[str, float]]
) -> tuple[dict[str, Figure], dict[str, Any]]:
    """Return the figures, and the speeds of all arms."""
    speeds = {seed: [kept.find(seed, f"speed {number}") for number in range(rounds)] for seed in seeds}
    known = [peer for peer in (_PIPELINE, _SENTENCES, _SENTENCES_INT8) if peer in speeds[seeds[0]][0]]
    goals = {_PIPELINE: "at least 20", _SENTENCES: "at least 2.5"}
    figures = {}
    for ours in OURS:
        for peer in known:
            ratios = [float(np.median([found[ours] / found[peer] for found in speeds[seed]])) for seed in seeds]
            figures[f"{ours}_to_{peer}"] = _over_seeds(ratios, "x", "higher", goals.get(peer, ""))
    accuracies = [kept.find(seed, "accuracy") for seed in seeds]
    for ours in OURS[1:]:
        lost = [100 * (found["fp32"] - found[ours]) for found in accuracies]
        figures[f"lost_in_{ours}"] = _over_seeds(lost, "points", "lower", "at most 0.2")
    first, last = memory[0]["peak_mb"], memory[-1]["peak_mb"]
    figures["peak_memory"] = Figure(last, last, last, "MB", "lower", "bounded")
    figures["memory_growth"] = Figure(last - first, last - first, last - first, "MB", "lower", "bounded")
    every = [found for rows in speeds.values() for found in rows]
    peers = {"texts_per_second": {name: float(np.median([found[name] for found in every])) for name in every[0]}}
    return figures, peers | {"tuned": kept.find(0, "tuned")}


def _over_seeds(values: list[float], unit: str, better: str, goal: str) -> Figure:
    if len(values) == 1:
        return Figure(values[0], values[0], values[0], unit, better, goal)
    return over_rounds(values, unit, better, goal)


def _accuracy(scorer: Scorer, test: pl.DataFrame) -> float:
    said = scorer.score(test["text"].to_list()).frame()["label"]
    return float((said == test["label"]).mean())  # type: ignore[arg-type]


def _once(kept: SeedResults, seed: int, arm: str, run: Callable[[], Any]) -> Any:
    found = kept.find(seed, arm)
    if found is None:
        found = run()
        kept.keep(seed, arm, found)
        print(f"seed {seed}, {arm}: {found}", flush=True)
    return found


def _ask(process: subprocess.Popen, line: str) -> str:
    process.stdin.write(line + "\n")  # type: ignore[union-attr]
    process.stdin.flush()  # type: ignore[union-attr]
    return _read(process)


def _read(process: subprocess.Popen, wanted: str = "") -> str:
    for line in process.stdout:  # type: ignore[union-attr]
        if not wanted or line.strip() == wanted:
            return line
    raise SystemExit("sentence-transformers' int8 backend ended before it answered")


if __name__ == "__main__":
    main()
