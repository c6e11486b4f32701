"""What the assets work on: one loop, opened from its home folder when first used."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import dagster as dg
from pydantic import PrivateAttr

from assets.settings import Settings, load_settings
from labeling.delta import Tables
from labeling.desk.desk import ReviewDesk
from labeling.home import Home
from training.registry.ledger import Ledger
from training.registry.registry import ModelRegistry

FAKE_DESK: Final = "fake-desk"
"""Where the fake desk keeps its file, in the home."""


class Loop(dg.ConfigurableResource):
    """One loop: its tables, settings, desk, registry and ledger.

    ``home`` is the home folder. ``now_is`` is what the clock says (ISO 8601 with a zone), so that a replay can live in
    its own time; empty means the real time. ``desk`` chooses Label Studio, or the fake that passes the
    same contract tests.
    """

    home: str
    now_is: str = ""
    desk: Literal["label_studio", "fake"] = "label_studio"

    _settings: Settings | None = PrivateAttr(default=None)

    @property
    def folder(self) -> Home:
        """The home folder, which must have been made."""
        home = Home(Path(self.home))
        home.require()
        return home

    @property
    def tables(self) -> Tables:
        """Every table of the home."""
        return self.folder.tables

    @property
    def settings(self) -> Settings:
        """Everything that the home's configs say, read once a run."""
        if self._settings is None:
            self._settings = load_settings(self.folder.configs)
        return self._settings

    def now(self) -> datetime:
        """Return the time in UTC: the replay's where ``now_is`` is set."""
        return datetime.fromisoformat(self.now_is).astimezone(UTC) if self.now_is else datetime.now(UTC)

    def open_desk(self) -> ReviewDesk:
        """Return the desk where people answer."""
        if self.desk == "fake":
            from labeling.desk.fake import FakeReviewDesk

            return FakeReviewDesk(self.folder.path / FAKE_DESK)
        from assets.services import label_studio_desk

        return label_studio_desk(self.folder, self.settings)

    def open_registry(self) -> ModelRegistry:
        """Return the model registry."""
        from assets.services import mlflow_registry

        return mlflow_registry(self.folder, self.settings.services.mlflow)

    def open_ledger(self) -> Ledger:
        """Return the ledger of decisions."""
        return Ledger(self.folder.ledger_path)
