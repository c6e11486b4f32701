"""One play that is stopped in every phase, shared by the tests of what stops do."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.played_fixture import Played
from tests.e2e.playing import Ended, Play, play
from tests.faults.stopping import How, Stopped, draw_stops, filled_disk, play_until, small_disk

_SEED = 20
_SIGNALS = (How.CONTROL_C, How.KILL)


@dataclass(frozen=True)
class StoppedPlay:
    """A play that was stopped in each of its phases and went on to its end.

    ``no_small_disk`` says why its disk could not be filled, empty where it was; ``never_began`` is the play that found
    the disk full from the start.
    """

    home: Path
    stops: list[Stopped]
    last: Ended
    never_began: Ended | None
    no_small_disk: str


@pytest.fixture(scope="session")
def stopped(played: Played, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoppedPlay]:
    """See ``StoppedPlay``; the instants are drawn, the same ones each time."""
    folder = tmp_path_factory.mktemp("stopped")
    with small_disk(folder) as no_small_disk:
        home, never_began = folder / "home", None
        ways = _SIGNALS if no_small_disk else (*_SIGNALS, How.FULL_DISK)
        if not no_small_disk:
            with filled_disk(home):
                never_began = play(home, log=tmp_path_factory.mktemp("logs"), forked=True)
        stops = draw_stops(list(played.seconds), ways, np.random.default_rng(_SEED))
        ends = [play_until(home, stop, played.seconds, log=tmp_path_factory.mktemp("logs")) for stop in stops]
        with Play(home, log=tmp_path_factory.mktemp("logs"), forked=True) as running:
            last = running.wait()
        assert last.code == 0, last.said
        yield StoppedPlay(home, ends, last, never_began, no_small_disk)
