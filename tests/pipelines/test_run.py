"""``cxloop run``: a job runs here, tells what it made, stands among the runs, and never beside another on one home."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from labeling.errors import HomeError
from labeling.home import Home
from pipelines.cli import app
from pipelines.commands.run import _brief

runner = CliRunner()


@pytest.fixture
def home(tmp_path: Path, give_mlflow: Callable[[Home], None]) -> Path:
    (tmp_path / "labels.csv").write_text("text,label\nmy card is gone,Card lost\nmoney back please,Refund\n")
    options = ["--home", str(tmp_path / "home"), "--from", str(tmp_path / "labels.csv")]
    made = runner.invoke(app, ["init", *options])
    assert made.exit_code == 0, made.output
    give_mlflow(Home(tmp_path / "home"))
    return tmp_path / "home"


def test_collect_takes_the_inbox_in_once_and_stands_among_the_runs(home: Path) -> None:
    first = runner.invoke(app, ["run", "collect", "--home", str(home)])
    assert first.exit_code == 0, first.output
    assert "interactions             origins 1, rows 2, stored 2, inserted 2, updated 0, parked 0" in first.output
    assert "Next: `cxloop run review`" in first.output
    again = runner.invoke(app, ["run", "collect", "--home", str(home)])
    assert "interactions             origins 0, rows 0, stored 0, inserted 0" in again.output
    shown = runner.invoke(app, ["status", "--home", str(home)])
    assert shown.output.count("success") == 2


def test_a_home_in_use_is_left_alone(home: Path) -> None:
    with Home(home).lock():
        refused = runner.invoke(app, ["run", "collect", "--home", str(home)])
    assert isinstance(refused.exception, HomeError)
    assert f"is in use by process {os.getpid()}" in str(refused.exception)


def test_an_unknown_job_is_told_beside_those_that_there_are(home: Path) -> None:
    refused = runner.invoke(app, ["run", "everything", "--home", str(home)])
    assert refused.exit_code == 2
    assert "'collect', 'review', 'retrain', 'reconcile', 'maintain'" in " ".join(
        refused.output.replace("│", "").split()
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0000001788, "1.79e-07"),
        (900, "900"),
        ("ab" * 32, "abababababab"),
        ("promote", "promote"),
        ("| a | table |\n|---|---|", ""),
        ("x" * 61, ""),
    ],
)
def test_facts_are_brief(value: object, shown: str) -> None:
    assert _brief(value) == shown
