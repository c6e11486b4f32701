"""Migrations of the taxonomy: what became of labels that older versions had.

Stored answers carry no version, so a label that was renamed, merged or retired must never come back: its name tells
what it means for good. With that, the migrations are one map from every former label to what it is now.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple, Self

from pydantic import Field, model_validator

from labeling.config import Config
from labeling.naming import RESERVED_LABELS, Name


class Fault(NamedTuple):
    """What is wrong, and the path of keys to where."""

    place: tuple[str | int, ...]
    message: str


class LabelChange(Config):
    """What one migration does to the labels of one task.

    Args of the file:
        rename: old name → new name.
        merge: the label that takes the others in, new or kept → those that it takes in.
        retire: labels that are asked for no more, and that nothing takes the place of.
        add: labels that are new with this version, and take nothing's place.
    """

    rename: dict[Name, Name] = Field(default_factory=dict)
    merge: dict[Name, tuple[Name, ...]] = Field(default_factory=dict)
    retire: tuple[Name, ...] = ()
    add: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _check_changes(self) -> Self:
        gone = [old for old, _, _ in self.moves()]
        if not gone and not self.add:
            raise ValueError("needs a label to rename, merge, retire or add, found none")
        if repeated := sorted({label for label in gone if gone.count(label) > 1}):
            raise ValueError(f"labels are changed more than once: {', '.join(repeated)}")
        if reserved := sorted({*gone, *self.add} & set(RESERVED_LABELS)):
            raise ValueError(f"reserved names cannot be changed: {', '.join(reserved)}")
        targets = [*self.rename.values(), *self.merge, *self.add]
        if shared := sorted({label for label in targets if targets.count(label) > 1}):
            raise ValueError(f"several labels become one only by `merge`: {', '.join(shared)}")
        return self

    def moves(self) -> Iterator[tuple[str, str | None, tuple[str | int, ...]]]:
        """Yield each label that goes, what it becomes (None where retired), and the place where that stands."""
        for old, new in self.rename.items():
            yield old, new, ("rename", old)
        for kept, taken in self.merge.items():
            yield from ((old, kept, ("merge", kept, row)) for row, old in enumerate(taken) if old != kept)
        for row, old in enumerate(self.retire):
            yield old, None, ("retire", row)


class Migration(Config):
    """How the labels of the version before became those of ``version`` (>= 2): task → what changed."""

    version: int = Field(ge=2)
    tasks: dict[Name, LabelChange] = Field(min_length=1)


def follow(migrations: Sequence[Migration], task: str) -> dict[str, str | None]:
    """Return every former label of ``task`` → what it is after all ``migrations``, None where it was retired."""
    now: dict[str, str | None] = {}
    for migration in reversed(migrations):
        change = migration.tasks.get(task)
        for old, new, _ in change.moves() if change else ():
            now[old] = now.get(new, new) if new is not None else None
    return now


def find_faults(migrations: Sequence[Migration], labels: Mapping[str, Sequence[str]], version: int) -> list[Fault]:
    """Return everything that keeps ``migrations`` from leading to the labels that there are.

    Args:
        migrations: in the order of the file.
        labels: task → what a model may say now, the reject class included.
        version: the taxonomy's version, where the migrations end at the latest.
    """
    faults = _find_version_faults([migration.version for migration in migrations], version)
    for task in dict.fromkeys(task for migration in migrations for task in migration.tasks):
        if task in labels:
            faults += _find_label_faults(migrations, task, labels[task])
        else:
            places = [row for row, migration in enumerate(migrations) if task in migration.tasks]
            message = f"there is no such task; those are {', '.join(labels)}"
            faults += [Fault((row, "tasks", task), message) for row in places]
    return faults


def _find_version_faults(versions: Sequence[int], last: int) -> list[Fault]:
    faults = [
        Fault((row, "version"), f"versions must rise, found {now} after {before}")
        for row, (before, now) in enumerate(pairwise(versions), start=1)
        if now <= before
    ]
    beyond = f"no migration leads beyond the taxonomy's `version`, which is {last}: raise that"
    return faults + [Fault((row, "version"), beyond) for row, found in enumerate(versions) if found > last]


def _find_label_faults(migrations: Sequence[Migration], task: str, labels: Sequence[str]) -> list[Fault]:
    """Find labels that go twice or stand still, and targets that nothing carries on."""
    moves = [
        (row, old, new, (row, "tasks", task, *place))
        for row, migration in enumerate(migrations)
        if task in migration.tasks
        for old, new, place in migration.tasks[task].moves()
    ]
    gone: dict[str, int] = {}
    faults: list[Fault] = []
    for row, old, _, place in moves:
        if old in gone:
            faults.append(Fault(place, f"{old} already went with version {migrations[gone[old]].version}"))
        elif old in labels:
            faults.append(Fault(place, f"{old} still stands among the labels: remove it there, or here"))
        gone.setdefault(old, row)
    added = [
        (row, None, new, (row, "tasks", task, "add", number))
        for row, migration in enumerate(migrations)
        if task in migration.tasks
        for number, new in enumerate(migration.tasks[task].add)
    ]
    for row, _, new, place in [*moves, *added]:
        if new is not None and new not in labels and gone.get(new, -1) <= row:
            why = (
                "a name that was given up is never used again"
                if new in gone
                else "it is neither a label nor changed by a later migration"
            )
            faults.append(Fault(place, f"nothing is called {new}: {why}"))
    return faults
