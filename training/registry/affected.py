"""Which training sets, versions and case files hold what was erased, and which versions must be trained anew."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import polars as pl

from labeling.delta import Tables
from labeling.errors import ModelError, RegistryError
from labeling.sources.erased import interaction_digest
from labeling.tables import TRAINING_SETS
from training.judging.case_file import list_case_files
from training.model_folder import load_description
from training.registry.registry import MEMBERS_TAG, RELEASE, ModelRegistry, ModelVersion, registered_name
from training.registry.standing import Standing

_ID: Final = re.compile(rb'"interaction_id": ("(?:[^"\\]|\\.)*")')


@dataclass(frozen=True)
class AffectedVersion:
    """A registered version that learnt from a text that goes.

    ``releases`` are the releases that it is part of. It ``needs_retraining`` where one of them is the champion or the
    challenger; any other answers nobody, and need not be replaced.
    """

    name: str
    version: str
    training_set_id: str
    releases: tuple[str, ...]
    needs_retraining: bool


@dataclass(frozen=True)
class Affected:
    """What learnt from the texts that go.

    ``training_sets`` are the ids of frozen sets, which stay as they are. ``unknown`` names versions of which nobody can
    say from what they learnt, because their files are gone or damaged.
    """

    training_sets: tuple[str, ...] = ()
    versions: tuple[AffectedVersion, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def needs_retraining(self) -> bool:
        """Whether the champion or the challenger is among them, or may be."""
        return any(version.needs_retraining for version in self.versions)


def find_affected(
    interactions: Iterable[str], *, tables: Tables, registry: ModelRegistry, standing: Standing
) -> Affected:
    """Return the training sets that hold one of ``interactions`` (ids), and the versions trained on those.

    A version says itself, in its files, which set it learnt from; they are read only where a set is affected.

    Raises:
        RegistryError: the registry cannot be reached.
        StorageError: the table of training sets is damaged.
    """
    wanted = pl.Series(sorted(interactions), dtype=pl.String)
    if wanted.is_empty():
        return Affected()
    held = tables.read(
        TRAINING_SETS,
        columns=["training_set_id", "task"],
        where=pl.col("interaction_id").is_in(wanted.implode()),
    ).unique()
    if held.is_empty():
        return Affected()
    sets = frozenset(held["training_set_id"])
    releases = registry.versions(RELEASE)
    live = {standing.champion, standing.challenger} - {None}
    found: list[AffectedVersion] = []
    unknown: list[str] = []
    for task in sorted(set(held["task"])):
        for version in registry.versions(registered_name(task)):
            learnt = _training_set_of(version, registry)
            if learnt is None:
                unknown.append(f"{version.name} {version.version}")
            elif learnt in sets:
                part_of = _releases_with(version, releases)
                found.append(
                    AffectedVersion(version.name, version.version, learnt, part_of, bool(live.intersection(part_of)))
                )
    return Affected(tuple(sorted(sets)), tuple(found), tuple(unknown))


def find_case_files(parent: Path, digests: frozenset[str], *, key: bytes) -> tuple[str, ...]:
    """Return the digests of the case files in ``parent`` that name an erased interaction; they stay as they are.

    Found by keyed digests, so that an erasure that goes on after its rows have gone finds the same ones. A case file
    that was damaged is looked at all the same. Costs a digest an id.

    Args:
        parent: the folder of case files.
        digests: ``interaction_digest`` of each interaction that goes.
        key: of the keyed digests.
    """

    @cache
    def is_erased(name: bytes) -> bool:
        return interaction_digest(key, json.loads(name)) in digests

    found = list_case_files(parent) if digests else ()
    return tuple(
        name
        for name in found
        if any(
            is_erased(held)
            for path in sorted((parent / name).glob("*/*.json*"))
            for held in set(_ID.findall(path.read_bytes()))
        )
    )


def _training_set_of(version: ModelVersion, registry: ModelRegistry) -> str | None:
    """Return the id of the set that ``version`` learnt from, None where its files do not say so any more."""
    try:
        return load_description(registry.download(version.name, version.version)).training_set_id
    except (ModelError, RegistryError):
        return None


def _releases_with(member: ModelVersion, releases: Iterable[ModelVersion]) -> tuple[str, ...]:
    return tuple(
        release.version
        for release in releases
        if json.loads(release.tags.get(MEMBERS_TAG, "{}")).get(member.name) == member.version
    )
