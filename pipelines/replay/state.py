"""What a replay has done so far, on disk, so that the same command goes on where it was stopped."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from labeling.config import Config
from labeling.errors import HomeError
from labeling.home import Home

STATE_FILE: Final = "replay.json"
"""Where it stands, in the home."""


class ReplayState(Config):
    """One replay's identity and progress.

    ``plan`` is everything that decides what happens; a command with another plan is another replay. ``seconds`` maps
    ``week:phase`` to the time it took; a phase that stands there is done. ``outcomes`` maps week to what it ended
    with: ``champion`` and ``judged`` (the last release so far; a version, "" for none), ``verdict`` (what the gates
    said of a release judged in that week, "" where none was) and ``answers`` (given so far). ``asked`` maps the cases
    that went to people last to how many people each is asked of in all: what a review job asks for while they answer,
    such as a third opinion, waits for the week after, whether they were interrupted or not.
    """

    schema_version: int = Field(default=1, ge=1, le=1)
    plan: dict[str, Any]
    start: datetime
    seconds: dict[str, float] = Field(default_factory=dict)
    outcomes: dict[str, dict[str, str]] = Field(default_factory=dict)
    asked: dict[str, int] = Field(default_factory=dict)
    finished: bool = False

    def save(self, home: Home) -> None:
        """Write this state into ``home``; atomic."""
        fresh = home.path / f"{STATE_FILE}.new"
        fresh.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
        fresh.replace(_path(home))

    def done(self, step: str, seconds: float) -> "ReplayState":
        """Return the state after ``step``."""
        return self.model_copy(update={"seconds": {**self.seconds, step: seconds}})

    def asking(self, cases: Mapping[str, int]) -> "ReplayState":
        """Return the state once ``cases`` have gone to people, each with the number of people asked."""
        return self.model_copy(update={"asked": dict(cases)})

    def ended(self, week: int, *, champion: str, judged: str, verdict: str, answers: int) -> "ReplayState":
        """Return the state after ``week`` was decided on; ``verdict`` is what the gates said of ``judged``."""
        before = self.outcomes.get(str(week - 1), {})
        said = "" if judged == before.get("judged", "") else verdict
        outcome = {"champion": champion, "judged": judged, "verdict": said, "answers": str(answers)}
        return self.model_copy(update={"outcomes": {**self.outcomes, str(week): outcome}})


def _path(home: Home) -> Path:
    return home.path / STATE_FILE


def load_state(home: Home) -> ReplayState | None:
    """Return the state of the replay in ``home``, None where there is none.

    Raises:
        HomeError: it cannot be read.
    """
    try:
        return ReplayState.model_validate_json(_path(home).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise HomeError(
            f"{_path(home)} cannot be read ({type(error).__name__}): "
            "move this home away, or name another folder with CXLOOP_HOME"
        ) from error


def require_own(home: Home, plan: dict[str, Any]) -> ReplayState | None:
    """Return the unfinished replay of this ``plan`` in ``home``, None where a new one may start.

    Raises:
        HomeError: the folder holds a loop of its owner's, other files, or another replay that was not finished.
    """
    state = load_state(home)
    if state is None:
        if home.exists:
            raise HomeError(
                f"a replay needs a home of its own, found a loop in {home.path}: name another folder with CXLOOP_HOME"
            )
        if strange := _strangers(home):
            raise HomeError(
                f"a replay needs a folder of its own, found {strange[0]} and {len(strange) - 1} more in {home.path}: "
                "name an empty or new folder with CXLOOP_HOME"
            )
        return None
    if state.finished:
        return None
    if state.plan != plan:
        raise HomeError(
            f"an unfinished replay with other options stands in {home.path}: "
            "give the same options again to go on, or name another folder with CXLOOP_HOME"
        )
    return state


def _strangers(home: Home) -> list[str]:
    """Return the names in the folder that no replay put there before its state."""
    if not home.path.is_dir():
        return []
    return sorted(
        path.name for path in home.path.iterdir() if path != home.run and not path.name.startswith(STATE_FILE)
    )
