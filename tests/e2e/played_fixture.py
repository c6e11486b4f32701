"""The small script played once a session, undisturbed: what stopped plays and full disks are compared with."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.playing import Ended, play, steps_done


@dataclass(frozen=True)
class Played:
    """A finished play: its home (look, do not change it), how it ended, and the seconds of its steps."""

    home: Path
    ended: Ended
    seconds: dict[str, float]


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """A home in which the small script was played to its end at the fake desk."""
    home = tmp_path_factory.mktemp("played") / "home"
    ended = play(home)
    assert ended.code == 0, ended.said
    return Played(home, ended, steps_done(home))
