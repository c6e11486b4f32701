"""The release that went live last, copied into the home: what answers after a start while the registry is down."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from labeling.config import Config
from labeling.taxonomy import Taxonomy
from serving.parity import load_alike, note_answers
from serving.release import Champion

NO_STANDBY: Final = "no_standby"
_LOG: Final = logging.getLogger(__name__)
_DESCRIPTION: Final = "standby.json"


class _Description(Config):
    """Which version lies in the folder of its name, and what it said of our own texts when it was live."""

    schema_version: Literal[1] = 1
    version: str = Field(pattern=r"^[0-9]+$")
    answers: str


class Standby:
    """One copy of a release in ``folder``. ``alarm`` is told what is wrong with it, and what is no more."""

    def __init__(self, folder: Path, alarm: Callable[[str, str], None]) -> None:
        self._folder = folder
        self._alarm = alarm

    def keep(self, champion: Champion) -> None:
        """Copy ``champion`` in place of what was kept; a kill in between leaves what was."""
        version = champion.version
        try:
            before = self._describe()
            if before is None or before.version != version:
                _copy(champion.release.folder, self._folder / version)
                about = _Description(version=version, answers=note_answers(champion.release))
                fresh = self._folder / f"{_DESCRIPTION}.new"
                fresh.write_text(about.model_dump_json() + "\n", encoding="utf-8")
                fresh.replace(self._folder / _DESCRIPTION)
            for other in self._folder.iterdir():
                if other.is_dir() and other.name != version:
                    shutil.rmtree(other)
            self._alarm(NO_STANDBY, "")
        except (OSError, shutil.Error) as error:
            shutil.rmtree(self._folder / f"{version}.new", ignore_errors=True)  # what is left of a disk is the log's
            why = f"release {version} is live but could not be copied ({type(error).__name__})"
            self._alarm(NO_STANDBY, f"{why}: a start without the registry would hand off everything")

    def load(self, taxonomy: Taxonomy) -> Champion | None:
        """Return what was kept, None where nothing was, or where it is damaged or answers otherwise than it did."""
        about = self._describe()
        if about is None:
            return None
        found = load_alike(self._folder / about.version, taxonomy, about.answers)
        if isinstance(found, str):
            self._alarm(NO_STANDBY, f"the copy of release {about.version} is refused: {found}")
            return None
        _LOG.warning("release %s is live from the copy in the home: the registry is down", about.version)
        return Champion(about.version, found)

    def _describe(self) -> _Description | None:
        try:
            return _Description.model_validate_json((self._folder / _DESCRIPTION).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None


def _copy(source: Path, target: Path) -> None:
    """Put a whole copy of ``source`` at ``target``, in place of whatever an interrupted copy left there."""
    fresh = target.with_name(f"{target.name}.new")
    for left in (fresh, target):
        shutil.rmtree(left, ignore_errors=True)
    shutil.copytree(source, fresh)
    fresh.rename(target)
