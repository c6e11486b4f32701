"""The case file: everything on which a challenger was judged, in one folder that its digest names.

``case.json`` says what was judged and holds the SHA-256 of every other file; the folder is called by the SHA-256 of
``case.json``. So one digest, which decisions name, stands for every byte. There is no text of a customer in it: ids
and keyed digests only, so erasing a person leaves it verifiable. docs/case-file.md describes the format.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Final, Literal, Self

import polars as pl
from pydantic import Field, ValidationError, field_validator

from labeling.config import Config
from labeling.digests import canonical_json
from labeling.errors import CaseFileError
from training.judging.case_frames import ANSWERS, CONFUSION, TRAINING_ROWS, read_frame
from training.judging.curves import Curves
from training.judging.data_change import DataChange
from training.judging.gates import GateResult
from training.judging.next_week import NextWeek
from training.judging.scorecard import Scorecard

SCHEMA_VERSION: Final = 1
DESCRIPTION: Final = "case.json"
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_PATH: Final = re.compile(r"(?:\w[\w.-]*/)?\w[\w.-]*", re.ASCII)


class Code(Config):
    """The cxloop that judged: its version, and the commit where it ran from a checkout."""

    version: str
    commit: str | None = None


class CaseDescription(Config):
    """case.json: what was judged, by what, with which verdict.

    Attributes:
        version: of the registered release; ``release_id`` follows from its contents.
        members: registered model to version.
        champion: the version that it was held against; None for a first champion.
        reference: the fixed reference release.
        request: improve, or refresh (not worse is enough).
        look: the place of this judging in the champion's reign (>= 1).
        alpha: the significance that was spent on it, in [0, 1].
        authors: who made it; empty where a schedule did.
        files: SHA-256 of every other file by its path.
    """

    schema_version: int = Field(default=SCHEMA_VERSION, ge=1, le=SCHEMA_VERSION)
    version: str
    release_id: str
    members: dict[str, str]
    champion: str | None
    reference: str | None
    request: Literal["improve", "refresh"]
    judged_at: datetime
    verdict: Literal["promote", "hold", "inconclusive"]
    look: int = Field(ge=1)
    alpha: float = Field(ge=0, le=1)
    tasks: tuple[str, ...]
    authors: tuple[str, ...] = ()
    code: Code
    files: dict[str, str] = Field(default_factory=dict)

    @field_validator("files")
    @classmethod
    def _check_files(cls, files: dict[str, str]) -> dict[str, str]:
        if wrong := [path for path in files if not _PATH.fullmatch(path) or path == DESCRIPTION]:
            raise ValueError(f"{len(wrong)} paths do not lie in the folder")
        if not all(_DIGEST.fullmatch(digest) for digest in files.values()):
            raise ValueError("a digest is not 64 hex digits")
        return files


class CaseFile:
    """A stored case file. Whatever is read is checked against its digest first.

    Attributes:
        folder: where it lies; its name is the ``digest``.
        about: case.json.
    """

    def __init__(self, folder: Path, about: CaseDescription) -> None:
        self.folder = folder
        self.about = about

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the case file in ``folder``, after checking that case.json is the one that the folder is named by.

        Raises:
            CaseFileError: there is none, it is another, or of a schema version that this cxloop does not know.
        """
        raw = _read(folder, DESCRIPTION)
        if (found := hashlib.sha256(raw).hexdigest()) != folder.name:
            raise CaseFileError(
                f"case file {folder.name[:12]} needs the {DESCRIPTION} that names it, found one of SHA-256 "
                f"{found[:12]}: it was changed; restore the folder from the run's artifacts, or judge again"
            )
        try:
            return cls(folder, CaseDescription.model_validate_json(raw))
        except ValidationError as error:
            raise CaseFileError(
                f"case file {folder.name[:12]} is of another schema version than {SCHEMA_VERSION}, or no case file: "
                "use the cxloop that wrote it"
            ) from error

    @property
    def digest(self) -> str:
        """The SHA-256 of case.json, 64 hex digits."""
        return self.folder.name

    def find_faults(self) -> tuple[str, ...]:
        """Return what differs from what was written, one line each: files missing, changed or added; empty if whole.

        case.json is read anew.
        """
        faults = [] if _digest_of(self.folder / DESCRIPTION) == self.digest else [f"{DESCRIPTION} was changed"]
        for path, expected in sorted(self.about.files.items()):
            found = _digest_of(self.folder / path)
            if found != expected:
                faults.append(f"{path} {'is missing' if found is None else 'was changed'}")
        stored = {path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if _is_leaf(path)}
        return (*faults, *(f"{path} was added" for path in sorted(stored - {DESCRIPTION, *self.about.files})))

    def verify(self) -> None:
        """Refuse a case file in which anything differs from what was written.

        Raises:
            CaseFileError: names every fault.
        """
        if faults := self.find_faults():
            raise CaseFileError(
                f"case file {self.digest[:12]} was changed since it was written: {'; '.join(faults)}: "
                "restore the folder from the run's artifacts, or judge again"
            )

    def read(self, path: str) -> bytes:
        """Return the content of the file at ``path``.

        Raises:
            CaseFileError: this case file has none, or it was changed.
        """
        if path not in self.about.files:
            raise CaseFileError(f"case file {self.digest[:12]} has no {path}: it holds {', '.join(self.about.files)}")
        raw = _read(self.folder, path)
        if hashlib.sha256(raw).hexdigest() != self.about.files[path]:
            raise CaseFileError(
                f"{path} of case file {self.digest[:12]} was changed since it was written: "
                "restore the folder from the run's artifacts, or judge again"
            )
        return raw

    def read_text(self, path: str) -> str:
        """Return ``read`` as text."""
        return self.read(path).decode()

    def _json(self, path: str) -> Any:
        return json.loads(self.read(path))

    @cached_property
    def gates(self) -> dict[str, tuple[GateResult, ...]]:
        """The gates of each task, in their order; those of the release as a whole stand under ``""``."""
        found: dict[str, list[GateResult]] = {}
        for said in self._json("gates.json"):
            about: dict[str, Any] = said | {"slice": said["slice"] and tuple(said["slice"])}
            found.setdefault(about.pop("task"), []).append(GateResult(**about))
        return {task: tuple(gates) for task, gates in found.items()}

    def scorecards(self, task: str) -> dict[str, Scorecard | None]:
        """Return the cards of ``challenger`` and ``champion``, None where there is no champion."""
        said = self._json(f"scorecards/{task}.json")
        return {who: card and Scorecard.from_document(card) for who, card in said.items()}

    def curves(self, task: str) -> dict[str, Curves]:
        """Return the curves of each model that answered."""
        return {who: Curves.from_document(said) for who, said in self._json(f"curves/{task}.json").items()}

    def confusion(self, task: str) -> pl.DataFrame:
        """Return ``truth, answered, champion, challenger``: how often each gave that wrong answer."""
        return read_frame(self.read(f"confusion/{task}.json"), CONFUSION)

    def answers(self, task: str) -> pl.DataFrame:
        """Return the answers frame of the test with ``text_digest``, a row a test case."""
        return read_frame(self.read(f"answers/{task}.json"), ANSWERS)

    def disagreements(self, task: str) -> pl.DataFrame | None:
        """Return the sampled fresh cases on which the two differ, as ``answers``; None where none were drawn."""
        path = f"disagreements/{task}.json"
        return read_frame(self.read(path), ANSWERS) if path in self.about.files else None

    def data(self, task: str) -> DataChange:
        """Return what was learnt from."""
        return DataChange.from_document(self._json(f"data/{task}.json"))

    def training_set(self, task: str) -> pl.DataFrame:
        """Return ``interaction_id, label, weight, text_digest`` of the training set."""
        lines = self.read(f"training_sets/{task}.jsonl").splitlines()
        return read_frame(b"[" + b",".join(lines) + b"]", TRAINING_ROWS)

    def next_week(self) -> NextWeek:
        """Return what next week would be like."""
        return NextWeek.from_document(self._json("next_week.json"))

    def plots(self) -> dict[str, str]:
        """Return each plot's SVG by its name, such as ``intent_reliability``."""
        names = [path for path in self.about.files if path.startswith("plots/")]
        return {PurePosixPath(path).stem: self.read_text(path) for path in sorted(names)}


def write_case_file(parent: Path, about: CaseDescription, files: Mapping[str, str]) -> CaseFile:
    """Write a case file into ``parent``; it is there as a whole or not at all, whenever it is killed.

    Written beside its place, brought to the disk and moved. What a killed write left is removed by the next. Where
    the same case file is there already, nothing is written.

    Args:
        parent: the folder of case files; made.
        about: what was judged; its ``files`` are filled in here.
        files: content by path: names of ASCII letters, digits, ``_``, ``-`` and ``.``, at most one folder deep.

    Raises:
        CaseFileError: it cannot be written, or the one that is there was changed.
        ValidationError: a path leads elsewhere.
    """
    contents = {path: text.encode() for path, text in files.items()}
    digests = {path: hashlib.sha256(raw).hexdigest() for path, raw in sorted(contents.items())}
    description = canonical_json(
        CaseDescription.model_validate(about.model_dump() | {"files": digests}).model_dump(mode="json")
    )
    place = parent / hashlib.sha256(description).hexdigest()
    try:
        with _alone_in(parent):
            if not place.exists():
                _write_whole(place, contents | {DESCRIPTION: description})
    except OSError as error:
        raise CaseFileError(
            f"a case file cannot be written to {parent} ({os.strerror(error.errno or 0)}): "
            "free some space or check the folder's rights, and judge again"
        ) from error
    written = CaseFile.open(place)
    written.verify()
    return written


def list_case_files(parent: Path) -> tuple[str, ...]:
    """Return the digests of the case files in ``parent``, sorted; none where there is no such folder."""
    found = parent.iterdir() if parent.is_dir() else ()
    return tuple(sorted(path.name for path in found if _DIGEST.fullmatch(path.name)))


@contextmanager
def _alone_in(parent: Path) -> Iterator[None]:
    """Hold ``parent`` for this process, without what killed writes left in it."""
    parent.mkdir(parents=True, exist_ok=True)
    held = os.open(parent, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        for left in parent.glob("*.partial"):
            shutil.rmtree(left)
        yield
        os.fsync(held)
    finally:
        os.close(held)


def _write_whole(place: Path, contents: Mapping[str, bytes]) -> None:
    fresh = place.with_name(f"{place.name}.partial")
    for path, raw in contents.items():
        (fresh / path).parent.mkdir(parents=True, exist_ok=True)
        with (fresh / path).open("wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
    for folder in (fresh, *(path for path in fresh.iterdir() if path.is_dir())):
        _sync(folder)
    fresh.rename(place)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _is_leaf(path: Path) -> bool:
    return path.is_symlink() or not path.is_dir()


def _digest_of(path: Path) -> str | None:
    """Return the SHA-256 of a plain file, None where there is none (a link is none: it may lead anywhere)."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() and not path.is_symlink() else None


def _read(folder: Path, path: str) -> bytes:
    try:
        return (folder / path).read_bytes()
    except OSError as error:
        raise CaseFileError(
            f"case file {folder.name[:12]} needs {path}, found none that can be read ({type(error).__name__}): "
            "restore the folder from the run's artifacts, or judge again"
        ) from error
