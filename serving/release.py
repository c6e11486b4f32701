"""The release: one model per task and the handoff policy fitted to them, judged, promoted and rolled back as a whole.

A release is a folder::

    models/<task>/      training.model_folder, one per task
    release.json        its id, the digest of each model, the handoff policy; written last
"""

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import numpy as np
import polars as pl
from pydantic import Field, ValidationError

from labeling.config import Config
from labeling.digests import digest
from labeling.errors import ModelError
from labeling.taxonomy import Taxonomy
from serving.conversation import CUSTOMER, Conversation, Turn
from serving.handoff.cases import Cases
from serving.handoff.decisions import Decision
from serving.handoff.first_version import ConfidencePolicy
from serving.handoff.policy import HandoffPolicy
from serving.reading import Reader, Reading
from training.registry.registry import RELEASE, ModelRegistry
from training.scoring import Scorer, Scores
from training.translated import translate_scores

if TYPE_CHECKING:
    import pandas as pd

    from training.batches import Progress

_DESCRIPTION: Final = "release.json"
_MODELS: Final = "models"

Policy = HandoffPolicy | ConfidencePolicy
"""Releases keep the policy that they were built with, whichever version it is of."""


class ReleaseDescription(Config):
    """What a release is: ``models`` maps task to the SHA-256 of its folder; ``release_id`` names all of it."""

    schema_version: int = Field(default=1, ge=1, le=1)
    release_id: str
    models: dict[str, str] = Field(min_length=1)
    handoff: Annotated[Policy, Field(discriminator="schema_version")]


class Release:
    """A release, loaded.

    With a ``taxonomy`` it answers in the labels of today, whichever it was trained on; without, in its models' own.
    """

    def __init__(
        self,
        about: ReleaseDescription,
        scorers: Mapping[str, Scorer],
        taxonomy: Taxonomy | None = None,
        *,
        folder: Path,
    ) -> None:
        self.about = about
        self.scorers = dict(scorers)
        self.folder = folder
        self._reader = Reader(scorers, taxonomy)
        self.taxonomy = taxonomy

    @classmethod
    def load(cls, folder: Path, taxonomy: Taxonomy | None = None) -> "Release":
        """Load what ``build_release`` wrote into ``folder``, after checking each model's digest.

        Raises:
            ModelError: it is not a whole release, or a file changed since it was built.
        """
        about = load_description(folder)
        folders = {task: folder / _MODELS / task for task in about.models}
        for task, expected in about.models.items():
            if digest_folder(folders[task]) != expected:
                raise ModelError(
                    f"release {about.release_id} needs the {task} model that it was built with, "
                    f"found other files in {folder}: restore the artifact folder, or roll back"
                )
        return cls(about, {task: Scorer.load(of) for task, of in folders.items()}, taxonomy, folder=folder)

    @property
    def folders(self) -> dict[str, Path]:
        """The folder of each of its models, by task."""
        return {task: self.folder / _MODELS / task for task in self.about.models}

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that this release answers, in the order that it was built with."""
        return tuple(self.scorers)

    def score(self, texts: Sequence[str], on_progress: "Progress | None" = None) -> dict[str, Scores]:
        """Return what each model says of n texts, by task, in its own labels."""
        return self._reader.score(texts, on_progress)

    def in_labels_of(self, taxonomy: Taxonomy, own: Mapping[str, Scores]) -> dict[str, Scores]:
        """Return ``own`` (``score``) in the labels that ``taxonomy`` has."""
        return {task: translate_scores(scores, taxonomy, task) for task, scores in own.items()}

    def read(
        self,
        conversations: Sequence[Conversation],
        own: Mapping[str, Scores] | None = None,
        on_progress: "Progress | None" = None,
    ) -> Reading:
        """Return what its models say of n conversations; ``own`` is ``score`` of the turns that count, if known."""
        policy = self.about.handoff
        return self._reader.read(
            conversations, tasks=policy.tasks, sentiment=policy.sentiment, own=own, on_progress=on_progress
        )

    def decide(self, cases: Cases, rng: np.random.Generator | None = None) -> list[Decision]:
        """Return for each of n cases whether to step aside, and why.

        Every decision of the release is made here. It falls on the models' own labels and confidences, which the policy
        was fitted to. An answer whose label was retired since, or became "none of these", goes to a person, too.

        Args:
            cases: what ``read`` found.
            rng: the source of chance near the threshold; without one the threshold alone decides.
        """
        return self.about.handoff.decide(cases, rng)

    def step_aside(self, texts: Sequence[str], own: Mapping[str, Scores]) -> list[str]:
        """Return for each of n texts why to step aside ("" where the answer is kept); ``own`` is ``score`` of them."""
        return [decision.reason for decision in self.decide(self.read(_as_conversations(texts), own).cases)]

    def answer(self, texts: Sequence[str], on_progress: "Progress | None" = None) -> pl.DataFrame:
        """Answer every task for each of n texts, each a conversation of its own (``answer_conversations``)."""
        return self.answer_conversations(_as_conversations(texts), on_progress)

    def answer_conversations(
        self, conversations: Sequence[Conversation], on_progress: "Progress | None" = None
    ) -> pl.DataFrame:
        """Answer every task for the last customer turn of n conversations, and decide whether to step aside.

        Returns:
            n rows in order: for each task ``<task>``, ``<task>_confidence`` and ``<task>_margin`` in [0, 1] and
            ``<task>_novelty`` (null of a model without novelty statistics); then ``handoff``, ``handoff_reason`` (a
            code, "" where kept) and ``release`` (its id).
        """
        cases = self.read(conversations, on_progress=on_progress).cases
        reasons = [decision.reason for decision in self.decide(cases)]
        frames = {task: said.scores.frame() for task, said in cases.answers.items()}
        columns = [
            frame.select(pl.col("label").alias(task), pl.col("confidence", "margin", "novelty").name.prefix(f"{task}_"))
            for task, frame in frames.items()
        ]
        handed = pl.DataFrame({"handoff_reason": pl.Series(reasons, dtype=pl.String)})
        return pl.concat([*columns, handed], how="horizontal").select(
            pl.exclude("handoff_reason"),
            handoff=pl.col("handoff_reason") != "",
            handoff_reason=pl.col("handoff_reason"),
            release=pl.lit(self.about.release_id),
        )

    def public_answer(self, texts: Sequence[str]) -> "pd.DataFrame":
        """Return ``answer`` as the registered model gives it: a pandas frame, without margins and novelty."""
        import pandas as pd

        answer = self.answer(texts)
        inner = {f"{task}_{name}" for task in self.tasks for name in ("margin", "novelty")}
        kept = [column for column in answer.columns if column not in inner]
        return pd.DataFrame({column: answer[column].to_list() for column in kept})


@dataclass(frozen=True)
class Champion:
    """The live release and its registered version."""

    version: str
    release: Release

    def predict(self, interaction_ids: pl.Series, texts: pl.Series, groups: pl.DataFrame | None = None) -> pl.DataFrame:
        """Return PREDICTIONS rows without version and times: one row per interaction and task.

        Args:
            interaction_ids: n of them.
            texts: theirs.
            groups: ``channel``, ``segment`` and ``language`` of each, for thresholds by group; None where unknown.

        Returns:
            Columns ``interaction_id, task, label, confidence, margin, handoff``.
        """
        known = groups.select("channel", "segment", "language").to_dicts() if groups is not None else [{}] * len(texts)
        turns = ((Turn(CUSTOMER, text),) for text in texts)
        conversations = [Conversation(turn, **about) for turn, about in zip(turns, known, strict=True)]
        answer = self.release.answer_conversations(conversations)
        return pl.concat(
            [
                pl.DataFrame(
                    {
                        "interaction_id": interaction_ids,
                        "task": pl.repeat(task, answer.height, dtype=pl.String, eager=True),
                        "label": answer[task],
                        "confidence": answer[f"{task}_confidence"],
                        "margin": answer[f"{task}_margin"],
                        "handoff": answer["handoff"],
                    }
                )
                for task in self.release.tasks
            ]
        )


def open_champion(registry: ModelRegistry, taxonomy: Taxonomy | None = None) -> Champion | None:
    """Load the release that the alias ``champion`` points at, None where there is none.

    Args:
        registry: where it is.
        taxonomy: today's, for answers in its labels; None for the release's own.

    Raises:
        RegistryError: the registry cannot be reached, or its files are gone.
        ModelError: the release is damaged.
    """
    version = registry.alias(RELEASE, "champion")
    return None if version is None else Champion(version, Release.load(registry.download(RELEASE, version), taxonomy))


def build_release(models: Mapping[str, Path], handoff: Policy, folder: Path) -> ReleaseDescription:
    """Put one model per task and the handoff policy together in ``folder``; a killed build is begun anew.

    Args:
        models: task to model folder, in the taxonomy's order; copied.
        handoff: the policy that was fitted to exactly these models.
        folder: where to; taken over where an earlier build left it.

    Returns:
        The description; its ``release_id`` follows from the contents alone, so the same parts make the same release.

    Raises:
        ModelError: a model folder is missing, or the folder cannot be written.
    """
    digests = {task: digest_folder(source) for task, source in models.items()}
    release_id = f"release-{digest([digests, handoff.model_dump(mode='json')])[:12]}"
    about = ReleaseDescription(release_id=release_id, models=digests, handoff=handoff)
    try:
        if folder.exists():
            shutil.rmtree(folder)
        for task, source in models.items():
            shutil.copytree(source, folder / _MODELS / task)
        (folder / _DESCRIPTION).write_text(about.model_dump_json(indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ModelError(
            f"a release cannot be written to {folder} ({os.strerror(error.errno or 0)}): "
            "free some space or check the folder's rights, and run again"
        ) from error
    return about


def _as_conversations(texts: Sequence[str]) -> list[Conversation]:
    return [Conversation.of_text(text) for text in texts]


def load_description(folder: Path) -> ReleaseDescription:
    """Read what the release in ``folder`` is, without loading a model.

    Raises:
        ModelError: there is no whole release in ``folder``, or it was written by another version of cxloop.
    """
    try:
        return ReleaseDescription.model_validate_json((folder / _DESCRIPTION).read_text(encoding="utf-8"))
    except OSError:
        raise ModelError(f"a release is needed in {folder}, found no {_DESCRIPTION} there: build it again") from None
    except (ValidationError, UnicodeDecodeError) as error:
        raise ModelError(f"{_DESCRIPTION} in {folder} is damaged or of another version: build it again") from error


def digest_folder(folder: Path) -> str:
    """Return the SHA-256 of a folder's files: their relative paths and contents, nothing else.

    Raises:
        ModelError: there is no such folder, or it is empty.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    if not files:
        raise ModelError(f"a model is needed in {folder}, found no files there: train it again")
    contents: list[Any] = [
        [path.relative_to(folder).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest()] for path in files
    ]
    return digest(contents)
