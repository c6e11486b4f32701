"""The port to a model registry, and what travels through it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import pandas as pd

KEY_TAG: Final = "cxloop.key"
"""The tag that names what a version was made of: registering the same key again finds the version, never doubles it."""

PARITY_TAG: Final = "cxloop.parity"
"""The tag that says whether the version answered, reloaded from the registry, as the model in memory did."""

VERDICT_TAG: Final = "gate_verdict"
"""The tag that holds what the gates said: promote, hold or inconclusive."""

ANCHOR_TAG: Final = "cxloop.ledger_anchor"
"""The tag that remembers the ledger's head at this version's last decision."""

MEMBERS_TAG: Final = "cxloop.members"
"""The tag of a release that names its members, as JSON ``{registered name: version}``."""

CASE_FILE_TAG: Final = "cxloop.case_file"
"""The tag of a release that names the case file it was last judged with, by its digest."""

FILES_TAG: Final = "cxloop.files"
"""The tag that says how many files were registered, and their bytes together: ``12 files, 91234567 bytes``."""

RELEASE: Final = "cxloop-triage"
"""The registered name of the release."""

PASSED: Final = "passed"
FAILED: Final = "failed"
PROMOTE: Final = "promote"


def registered_name(task: str) -> str:
    """Return the name under which the models of ``task`` are registered."""
    return f"cxloop-{task}"


@dataclass(frozen=True)
class ModelPackage:
    """A model as the registry keeps it: one folder of files, and the code that answers with it.

    Attributes:
        folder: everything the model loads; no pickle. The code finds it as ``context.artifacts["folder"]``.
        code: the Python file that defines the pyfunc (models from code; it is copied, not imported).
        code_paths: package folders that the code imports, carried along.
        requirements: names of distributions that loading needs; pinned to the installed versions.
        example: an input frame, saved beside the model in plain text: never a customer's words.
        probe: texts to compare the reloaded model on; not saved.
        answers: what the model in memory says to ``probe``, one row each.
    """

    folder: Path
    code: Path
    code_paths: tuple[Path, ...]
    requirements: tuple[str, ...]
    example: tuple[str, ...]
    probe: tuple[str, ...]
    answers: "pd.DataFrame"


@dataclass(frozen=True)
class RunRecord:
    """How a model came to be.

    Attributes:
        experiment: the group of runs it belongs to.
        name: the run's name.
        params: recipe and seed, as text.
        metrics: single figures, finite.
        curves: figures by step, the first step being 0; not-a-number where a step has none.
        documents: file name to text (a scorecard, a recipe).
        dataset: the training set's id and digest, None where the model has none of its own.
        tags: anything else worth finding it by.
    """

    experiment: str
    name: str
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    documents: Mapping[str, str] = field(default_factory=dict)
    dataset: tuple[str, str] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelVersion:
    """One registered version; ``version`` counts from "1" under its ``name``."""

    name: str
    version: str
    tags: Mapping[str, str]
    run_id: str
    created_at: datetime

    @property
    def uri(self) -> str:
        """Where MLflow and its friends load this version from."""
        return f"models:/{self.name}/{self.version}"


@dataclass(frozen=True)
class Parity:
    """How far the reloaded model agrees with the one in memory.

    ``compared`` texts were asked of both; ``disagreeing`` of them had another answer in any column that is not a
    number; ``gap`` is the largest difference of a number.
    """

    compared: int
    disagreeing: int
    gap: float

    def is_exact(self, tolerance: float) -> bool:
        """Whether no answer differs and no number by more than ``tolerance``."""
        return self.disagreeing == 0 and self.gap <= tolerance


@dataclass(frozen=True)
class Registered:
    """A version, its parity, and whether it was registered by this call (False: an earlier call had done it)."""

    version: ModelVersion
    parity: Parity | None
    is_new: bool


class ModelRegistry(Protocol):
    """Where versions stand. Every call may be repeated: the effect happens once.

    All methods raise ``RegistryError`` where the registry cannot be reached, is locked, or lacks what was asked for.
    Aliases are moved by ``training.registry.decisions`` alone.
    """

    def register(
        self, name: str, package: ModelPackage, run: RunRecord, *, key: str, tags: Mapping[str, str]
    ) -> Registered:
        """Record the run and register the model, then reload it by its address and compare answers.

        A version of the same ``key`` is found and finished, not doubled.

        Raises:
            RegistryError: the version did not load or did not answer alike; it stays, marked as failed.
        """
        ...

    def versions(self, name: str) -> list[ModelVersion]:
        """Return every version of ``name``, oldest first; none where the name is not registered."""
        ...

    def version(self, name: str, version: str) -> ModelVersion:
        """Return one version."""
        ...

    def find(self, name: str, *, key: str) -> ModelVersion | None:
        """Return the version that was registered under ``key``, None where there is none."""
        ...

    def aliases(self, name: str) -> dict[str, str]:
        """Return alias to version; empty where the name is not registered."""
        ...

    def alias(self, name: str, alias: str) -> str | None:
        """Return the version that ``alias`` points at, None where there is no such alias or name."""
        ...

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Point ``alias`` at ``version``."""
        ...

    def remove_alias(self, name: str, alias: str) -> None:
        """Take ``alias`` away, wherever it points."""
        ...

    def tag(self, name: str, version: str, tags: Mapping[str, str]) -> None:
        """Set ``tags`` on a version, replacing those of the same name."""
        ...

    def record(self, version: ModelVersion, *, metrics: Mapping[str, float], documents: Mapping[str, str]) -> None:
        """Add figures and documents to the run behind ``version``."""
        ...

    def require_files(self, name: str, version: str) -> None:
        """Check, without fetching them, that the files that were registered are there.

        Raises:
            RegistryError: some are missing or shorter than they were.
        """
        ...

    def download(self, name: str, version: str) -> Path:
        """Return a folder with the files that were registered (``ModelPackage.folder``); not to be written to."""
        ...
