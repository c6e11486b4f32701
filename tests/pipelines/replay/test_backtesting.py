"""``cxloop backtest`` over small files: figures, plot, advice, and clear words about what is wrong."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from labeling.errors import ConfigError
from pipelines.cli import app
from pipelines.replay.backtest_report import describe, recommend, table_rows
from pipelines.replay.backtesting import BacktestOptions, cut_texts, show_backtest
from pipelines.replay.labelled_file import read_labelled
from training.learning_curve import Curve

TOPICS = {
    "card": "my card is {} and I need a new one",
    "transfer": "the transfer to {} has not arrived",
    "oos": "what is the weather in {}",
}
PLACES = ("lost", "Rome", "Oslo", "broken", "Bern", "Cairo", "Lima", "gone", "Paris", "Kyiv", "Riga", "Bonn", "Turin")


def write(path: Path, *, text: str = "text", label: str = "label", splits: bool = False, copies: int = 1) -> Path:
    rows = [
        {text: sentence.format(place), label: name, **({"split": "test" if number > 8 else "train"} if splits else {})}
        for name, sentence in TOPICS.items()
        for number, place in enumerate(PLACES)
        for _ in range(copies)
    ]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_small_file_is_played_written_and_advised_on(tmp_path: Path) -> None:
    source = write(tmp_path / "mine.csv", text="message", label="topic")
    out = tmp_path / "found.json"
    arguments = ["backtest", "--intent", str(source), "--text-column", "message", "--label-column", "topic"]
    done = CliRunner().invoke(
        app, [*arguments, "--seeds", "2", "--strategy", "system", "--strategy", "badge", "--out", str(out)]
    )
    assert done.exit_code == 0, done.output
    assert "Use " in done.output
    assert "Next: " in done.output
    report = json.loads(out.read_text())
    assert list(report["strategies"]) == ["uniform", "badge", "system"]
    assert report["labels"] == 2
    assert report["strategies"]["uniform"]["levels"]["0.95"]["ratio"]["value"] == 1
    assert len(report["strategies"]["system"]["curves"]) == 2
    assert out.with_suffix(".svg").read_text().lstrip().startswith("<?xml")
    assert "Rome" not in out.read_text()


def test_the_files_own_split_is_kept(tmp_path: Path) -> None:
    file = read_labelled(str(write(tmp_path / "mine.csv", splits=True)), task="intent")
    pool, test = cut_texts(file, seed=3)
    assert {file.rows[row].split for row in pool} == {"train"}
    assert {file.rows[row].split for row in test} == {"test"}


def test_without_a_split_copies_of_a_text_are_on_one_side_and_seeds_cut_differently(tmp_path: Path) -> None:
    file = read_labelled(str(write(tmp_path / "mine.csv", copies=3)), task="intent")
    (pool, test), (_, other) = cut_texts(file, seed=0), cut_texts(file, seed=1)
    assert {file.rows[row].text for row in pool}.isdisjoint(file.rows[row].text for row in test)
    assert sorted([*pool, *test]) == list(range(len(file.rows)))
    assert test.tolist() != other.tolist()


def test_what_is_wrong_is_said_before_the_long_work(tmp_path: Path) -> None:
    source = str(write(tmp_path / "mine.csv"))
    with pytest.raises(ConfigError, match=r"--strategy best: needs one of uniform, margin") as caught:
        show_backtest(BacktestOptions(intent=source, out=tmp_path / "no" / "found.json", strategies=("best",)))
    assert "in a folder that exists" in str(caught.value)
    with pytest.raises(ConfigError, match=r"column words: needed, found text, label: name another"):
        show_backtest(BacktestOptions(intent=source, out=tmp_path / "found.json", text_column="words"))
    small = tmp_path / "small.csv"
    small.write_text("text,label\none,a\ntwo,b\nthree,a\n")
    with pytest.raises(ConfigError, match=r"found 2 labels, \d texts to choose from"):
        show_backtest(BacktestOptions(intent=str(small), out=tmp_path / "found.json"))


def report_of(**accuracies: list[list[float]]) -> dict:
    curves = {name: [Curve((10, 20, 30), tuple(each), 1.0, 30) for each in seeds] for name, seeds in accuracies.items()}
    return describe(curves, file="mine.csv", rows=50, classes=10)


def test_the_advice_is_the_strategy_that_surely_saves_most_and_harms_nowhere() -> None:
    uniform = [[0.5, 0.7, 1.0], [0.5, 0.72, 1.0]]
    report = report_of(
        uniform=uniform,
        margin=[[0.5, 0.96, 1.0], [0.5, 0.95, 1.0]],
        cover=[[0.45, 1.0, 1.0], [0.45, 1.0, 1.0]],
        system=[[0.96, 0.97, 1.0], [0.5, 0.7, 1.0]],
    )
    assert report["use"] == "margin"
    assert "Use margin" in recommend(report)
    assert report["strategies"]["cover"]["worst_gap"] == {"points": pytest.approx(-5), "budget": 10}


def test_a_strategy_whose_curve_ends_below_is_a_lower_bound_and_not_advised() -> None:
    report = report_of(uniform=[[0.5, 0.7, 1.0]] * 2, cover=[[0.6, 0.8, 0.9]] * 2)
    level = report["strategies"]["cover"]["levels"]["0.95"]
    assert (level["labels"]["value"], level["seeds_short"]) == (30, 2)
    assert report["use"] == "uniform"


def test_where_nothing_surely_helps_uniform_is_advised() -> None:
    report = report_of(uniform=[[0.5, 0.7, 1.0]] * 2, margin=[[0.5, 0.6, 0.9]] * 2)
    assert recommend(report).startswith("Use uniform")
    assert [row[3] for row in table_rows(report)[1]] == ["29", ">30"]
    assert np.isfinite(report["strategies"]["margin"]["levels"]["0.95"]["ratio"]["value"])
