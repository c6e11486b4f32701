"""What the page reads of one home: ledger, registry, case files, texts, people. Each may be out of order by itself."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import polars as pl

from labeling.config import load_config
from labeling.errors import LedgerError, RegistryError
from labeling.home import Home
from labeling.tables import INTERACTIONS
from labeling.taxonomy import Taxonomy
from serving.reviewers.faults import NotFound
from training.judging.case_file import CaseFile
from training.registry.ledger import Entry, Ledger
from training.registry.people import People
from training.registry.registry import RELEASE, ModelRegistry, ModelVersion
from training.registry.standing import Standing, read_standing

_LEDGER_SECONDS: Final = 2.0
_REGISTRY_SECONDS: Final = 0.5
"""How long a page waits for the registry; it has the ledger's word on everything but whether a version still exists."""

_SILENT: Final = "the model registry does not answer now: this is the ledger's word, and deciding may have to wait"


@dataclass(frozen=True)
class History:
    """The ledger's entries, oldest first, and what they add up to.

    ``fault`` says why the ledger cannot be read now; the entries are then those of ``read_at``.
    """

    entries: Sequence[Entry]
    standing: Standing
    read_at: datetime
    fault: str = ""


@dataclass(frozen=True)
class Registered:
    """The registered versions of the release; None where the registry was never heard. ``fault`` says what is wrong."""

    versions: Mapping[str, ModelVersion] | None
    fault: str = ""


@dataclass(frozen=True)
class Seen:
    """What the ledger and the registry say at one moment, and what is wrong with either."""

    history: History
    registered: Registered

    @property
    def standing(self) -> Standing:
        """Where the releases stand."""
        return self.history.standing

    @property
    def faults(self) -> list[str]:
        """What a visitor must know before believing the page."""
        stale = f" What stands here is what the ledger said at {self.history.read_at:%H:%M:%S} UTC."
        ledger = [f"{self.history.fault}.{stale}"] if self.history.fault else []
        return ledger + ([f"{self.registered.fault}."] if self.registered.fault else [])


@dataclass
class Records:
    """One home as the page sees it.

    ``now`` is the clock. What was read last of the ledger and the registry is kept, so that a page stands while they
    are locked or away.
    """

    home: Home
    registry: ModelRegistry
    now: Callable[[], datetime]
    _history: History | None = None
    _versions: Mapping[str, ModelVersion] | None = None
    _asked: "Future[None] | None" = None
    _asking: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "registry"))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def ledger(self) -> Ledger:
        """The ledger; who waits for it longer than two seconds is told."""
        return Ledger(self.home.ledger_path, lock_seconds=_LEDGER_SECONDS)

    def people(self) -> People:
        """Return who may do what, as reviewers.yaml says now.

        Raises:
            ConfigError: the file is wrong.
        """
        return load_config(self.home.configs / "reviewers.yaml", People)

    def taxonomy(self) -> Taxonomy:
        """Return today's taxonomy.

        Raises:
            ConfigError: the file is wrong.
        """
        return load_config(self.home.configs / "taxonomy.yaml", Taxonomy)

    def look(self) -> Seen:
        """Read the ledger and the registry, as far as they answer.

        Raises:
            LedgerError: the ledger cannot be read, and was never before.
        """
        return Seen(self.history(), self.registered())

    def history(self) -> History:
        """Return what the ledger holds; what it held when it was last read, where it cannot be read now.

        Raises:
            LedgerError: it cannot be read, and was never before.
        """
        try:
            entries = self.ledger.entries()
        except LedgerError as error:
            if self._history is None:
                raise
            return History(self._history.entries, self._history.standing, self._history.read_at, fault=str(error))
        self._history = History(entries, read_standing(entries), self.now())
        return self._history

    def registered(self, *, seconds: float = _REGISTRY_SECONDS) -> Registered:
        """Return what the registry holds; waits for so many ``seconds``, and then has what it said last."""
        with self._lock:
            asked = self._asked if self._asked and not self._asked.done() else None
            patience = 0.0 if asked else seconds
            if asked is None:
                asked = self._asked = self._asking.submit(self._ask)
        try:
            asked.result(patience)
        except NotYet:
            return Registered(self._versions, _SILENT)
        except RegistryError as error:
            return Registered(self._versions, str(error))
        return Registered(self._versions)

    def _ask(self) -> None:
        self._versions = {found.version: found for found in self.registry.versions(RELEASE)}

    def open_case(self, digest: str) -> CaseFile:
        """Return the case file called ``digest``.

        Raises:
            NotFound: there is no such folder, or the name is no digest.
            CaseFileError: its case.json is not what the digest names.
        """
        folder = self.home.case_files / digest
        if not digest.isalnum() or not folder.is_dir():
            raise NotFound("the case file is needed, its folder is gone from case_files: restore it from a backup")
        return CaseFile.open(folder)

    def texts(self, interaction_ids: Sequence[str]) -> dict[str, str]:
        """Return interaction_id to redacted text; what was erased is left out.

        Raises:
            StorageError: the table cannot be read.
        """
        columns, asked = ["interaction_id", "text"], pl.col("interaction_id").is_in(list(interaction_ids))
        found = self.home.tables.read(INTERACTIONS, columns=columns, where=asked)
        return {name: text for name, text in found.iter_rows() if text}
