"""A replay in a home that is not free for it: it says so, and changes nothing."""

import os
import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from tests.e2e.playing import Play, play, steps_done


def files_of(home: Path) -> dict[str, bytes]:
    """Return path to content of every file of ``home``, but for the locks."""
    files = (path for path in home.rglob("*") if path.is_file() and path.parent != home / "run")
    return {str(path.relative_to(home)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A home whose replay was stopped by kill -9 after its first phase; the play that held it, still frozen."""
    home = tmp_path_factory.mktemp("begun") / "home"
    with Play(home) as running:
        running.wait_until(lambda: len(steps_done(home)) > 0)
        os.killpg(running.pid, signal.SIGSTOP)
        yield running


def test_a_second_demo_in_one_home_says_who_holds_it_and_changes_nothing(begun, tmp_path):
    before = files_of(begun.home)
    second = play(begun.home, log=tmp_path)
    assert second.code == 1
    assert f"is in use by process {begun.pid}" in second.said
    assert "choose another folder with CXLOOP_HOME" in second.said
    assert "Traceback" not in second.said
    assert files_of(begun.home) == before


def test_other_options_on_an_unfinished_replay_are_refused(begun, tmp_path):
    begun.stop(signal.SIGKILL)
    before = files_of(begun.home)
    other = play(begun.home, desk="label_studio", log=tmp_path)
    assert other.code == 1
    assert "an unfinished replay with other options stands in" in other.said
    assert "give the same options again to go on" in other.said
    assert files_of(begun.home) == before


def test_a_home_of_ones_own_is_refused(tmp_path):
    made = CliRunner().invoke(app, ["init", "--home", str(tmp_path / "home")])
    assert made.exit_code == 0, made.output
    before = files_of(tmp_path / "home")
    refused = play(tmp_path / "home")
    assert refused.code == 1
    assert "a replay needs a home of its own, found a loop in" in refused.said
    assert files_of(tmp_path / "home") == before


def test_a_folder_with_other_files_is_refused_and_left_as_it_is(tmp_path):
    (tmp_path / "home" / "thesis").mkdir(parents=True)
    (tmp_path / "home" / "thesis" / "chapter-1.txt").write_text("years of work")
    refused = play(tmp_path / "home")
    assert refused.code == 1
    assert "a replay needs a folder of its own, found thesis" in refused.said
    assert files_of(tmp_path / "home") == {"thesis/chapter-1.txt": b"years of work"}
