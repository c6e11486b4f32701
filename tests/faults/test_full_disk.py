"""A disk that fills up in the middle of a play: one clear error, and the same command finishes once there is room.

That nothing is lost or doubled by it is shown in ``test_interrupted``, on the same play.
"""

import pytest

from assets.settings import load_settings
from labeling.errors import StorageError
from labeling.home import Home
from pipelines.new_home import make_home
from pipelines.running import Runner, open_instance, told_when_full
from tests.faults.stopping import How, filled_disk, small_disk


@pytest.fixture
def filled(stopped):
    """The play whose disk was full several times."""
    if stopped.no_small_disk:
        pytest.skip(f"no small disk can be mounted here: {stopped.no_small_disk}")
    return stopped


def assert_told(ended):
    assert ended.code == 1, ended.said
    assert "Traceback" not in ended.said
    [told] = [line for line in ended.said.splitlines() if line.startswith("error: ")]
    assert "the disk is full" in told
    assert "free some space" in told


def test_a_disk_that_is_full_from_the_start_is_named(filled):
    assert_told(filled.never_began)


def test_a_disk_that_fills_up_in_a_phase_is_named(filled):
    full = [done for done in filled.stops if done.stop.how is How.FULL_DISK and done.fell]
    assert full
    for done in full:
        assert_told(done.ended)


def test_the_same_command_finishes_once_there_is_room(filled):
    assert filled.last.code == 0
    assert (filled.home / "reports" / "replay.html").stat().st_size > 10_000


def test_a_disk_that_fills_up_under_a_job_is_named_once(tmp_path, capfd):
    with small_disk(tmp_path) as no_small_disk:
        if no_small_disk:
            pytest.skip(f"no small disk can be mounted here: {no_small_disk}")
        home = Home(tmp_path / "home")
        make_home(home, profile="local", check=load_settings)
        with open_instance(home) as instance:
            runner = Runner(home, instance, desk="fake")
            refused = pytest.raises(StorageError, match="the disk is full")
            with filled_disk(home.path), refused, told_when_full(home):
                runner.run("collect_job")
    assert "Traceback" not in capfd.readouterr().err
