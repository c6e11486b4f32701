"""A backtest in front of somebody: read the file, play each strategy, write what came of it, say which to use."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from labeling.errors import ConfigError
from labeling.vocabulary import CANNOT_TELL, NONE_OF_THESE
from pipelines.replay.backtest_report import describe, plot_curves, recommend, table_rows, write_report
from pipelines.replay.labelled_file import HELD_OUT, LabelledFile, read_labelled
from pipelines.terminal import console, say, say_next, say_table
from training.backtest import STRATEGIES, UNIFORM, Split, Views, measure_full, play_strategy, prepare_graph
from training.encoder import EncoderSpec, load_encoder
from training.features import embed_texts
from training.label_names import spell_out
from training.learning_curve import Curve

_TEST_SHARE: Final = 0.3
"""What is held out of a file without a test split: the figures' noise comes from the test texts first."""

_LEAST_TEST: Final = 10
"""Fewer texts to measure on would say nothing."""


@dataclass(frozen=True)
class BacktestOptions:
    """What to play: see ``cxloop backtest --help``; no ``strategies`` are all of them."""

    intent: str
    out: Path
    text_column: str = "text"
    label_column: str = "label"
    budget: int | None = None
    seeds: int = 3
    strategies: tuple[str, ...] = ()

    @property
    def played(self) -> tuple[str, ...]:
        """The strategies to play, uniform first."""
        return (UNIFORM, *(name for name in STRATEGIES if name in (self.strategies or STRATEGIES) and name != UNIFORM))


def show_backtest(options: BacktestOptions) -> None:
    """Play the strategies over the file, show the figures, write the JSON and the plot.

    Raises:
        ConfigError: the file, a strategy's name or the place to write is wrong; says what is needed.
        EncoderError: the encoder cannot be loaded.
    """
    _check(options)
    file = read_labelled(
        options.intent, task="intent", text_column=options.text_column, label_column=options.label_column
    )
    file = _drop_unclear(file)
    cut_texts(file, seed=0)  # a file that is too small says so before the long work
    curves = _play(file, options)
    report = describe(curves, file=Path(options.intent).name, rows=len(file.rows), classes=len(file.titles))
    write_report(report, options.out)
    plot = options.out.with_suffix(".svg")
    plot_curves(curves, plot)
    say_table(f"Labels that {report['file']} would have needed", *table_rows(report))
    say(recommend(report), style="bold")
    say(f"Written: {options.out} and {plot}")
    say_next(
        f"`cxloop replay --intent {options.intent} --desk fake` plays the whole loop over it",
        "`cxloop init --from FILE` starts with labels of yours; configs/selection.yaml says what is selected",
    )


def cut_texts(file: LabelledFile, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to choose from and the rows to be measured on.

    The file's own split where it has one with both kinds; else a share of the different texts, so that no text is on
    both sides.

    Raises:
        ConfigError: one side is too small.
    """
    held = np.array([row.split in HELD_OUT for row in file.rows])
    if not held.any() or held.all():
        names = [" ".join(row.text.lower().split()) for row in file.rows]
        _, texts = np.unique(names, return_inverse=True)
        drawn = np.random.default_rng(seed).permutation(int(texts.max()) + 1)
        held = (drawn < _TEST_SHARE * len(drawn))[texts]
    pool, test = np.flatnonzero(~held), np.flatnonzero(held)
    known = {file.rows[row].label for row in pool}
    if len(pool) <= len(file.titles) or len(test) < _LEAST_TEST or len(known) < 2:
        fault = f"{len(file.titles)} labels, {len(pool)} texts to choose from, {len(test)} to be measured on"
        need = f"needs more texts than labels, of two labels at least, and {_LEAST_TEST} more to be measured on"
        raise ConfigError([f"{file.task}: a backtest {need}, found {fault}: give it a larger file"])
    return pool, test


def _drop_unclear(file: LabelledFile) -> LabelledFile:
    """Leave out texts of which their own label says that nobody can tell."""
    return replace(file, rows=tuple(row for row in file.rows if row.label != CANNOT_TELL))


def _check(options: BacktestOptions) -> None:
    faults = [
        f"--strategy {name}: needs one of {', '.join(STRATEGIES)}"
        for name in options.strategies
        if name not in STRATEGIES
    ]
    if not options.out.absolute().parent.is_dir() or options.out.is_dir() or options.out.suffix == ".svg":
        faults.append(f"--out {options.out}: needs the name of a JSON file in a folder that exists")
    if faults:
        raise ConfigError(faults)


def _play(file: LabelledFile, options: BacktestOptions) -> dict[str, list[Curve]]:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        encoder, shown = load_encoder(EncoderSpec()), _follow(bar, 1, "reading")
        features = embed_texts(encoder, [row.text for row in file.rows], on_progress=shown)
        names = embed_texts(encoder, [spell_out(file.titles[name]) for name in sorted(file.titles)])
        show = _follow(bar, options.seeds * len(options.played), "playing")
        curves: dict[str, list[Curve]] = {name: [] for name in options.played}
        prepared: dict[bytes, _Prepared] = {}
        for seed in range(options.seeds):
            pool, test = cut_texts(file, seed=seed)
            if test.tobytes() not in prepared:
                prepared = {test.tobytes(): _prepare(_make_split(file, features, names, pool, test), options)}
            for name, curve in _play_seed(prepared[test.tobytes()], seed, options, show):
                curves[name].append(curve)
    return curves


@dataclass(frozen=True)
class _Prepared:
    """A split, and what is worked out once for it."""

    split: Split
    full: float
    views: Views | None


def _prepare(split: Split, options: BacktestOptions) -> _Prepared:
    return _Prepared(split, measure_full(split), prepare_graph(split, options.played))


def _play_seed(
    prepared: _Prepared, seed: int, options: BacktestOptions, show: Callable[[float, str], None]
) -> Iterator[tuple[str, Curve]]:
    for place, name in enumerate(options.played):
        done = seed * len(options.played) + place

        def follow(share: float, text: str, done: int = done, name: str = name) -> None:
            show(done + share, f"seed {seed + 1} of {options.seeds}, {name}: {text}")

        yield (
            name,
            play_strategy(
                STRATEGIES[name],
                prepared.split,
                full=prepared.full,
                views=prepared.views,
                seed=seed,
                budget=None if name == UNIFORM else options.budget,
                on_progress=follow,
            ),
        )


def _make_split(
    file: LabelledFile, features: np.ndarray, names: np.ndarray, pool: np.ndarray, test: np.ndarray
) -> Split:
    number = {name: place for place, name in enumerate(sorted(file.titles))} | {NONE_OF_THESE: -1}
    targets = np.array([number[row.label] for row in file.rows])
    return Split(features[pool], targets[pool], features[test], targets[test], len(file.titles), names)


def _follow(bar: Progress, total: float, text: str) -> Callable[[float, str], None]:
    task = bar.add_task(text, total=total)
    return lambda done, said: bar.update(task, completed=done, description=said)
