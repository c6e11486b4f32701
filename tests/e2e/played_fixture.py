"""The small script played once a session, undisturbed: what stopped plays and full disks are compared with."""

import fcntl
import json
from dataclasses import asdict, dataclass
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
def played(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Played:
    """A home in which the small script was played to its end at the fake desk; every worker sees the same one.

    It is forked as those are that are stopped after a share of its seconds, so that its steps take as long as theirs.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "played-by-all"
    folder.mkdir(exist_ok=True)
    home, told = folder / "home", folder / "ended.json"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not told.exists():
            told.write_text(json.dumps(asdict(play(home, forked=True))))
    ended = Ended(**json.loads(told.read_text()))
    assert ended.code == 0, ended.said
    return Played(home, ended, steps_done(home))
