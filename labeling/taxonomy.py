"""The taxonomy: tasks, their labels, and what became of former ones. A task is a row here, never a copy of the code."""

from typing import Final, Self

import polars as pl
from pydantic import Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from labeling.config import Config
from labeling.errors import UnknownTask
from labeling.migrations import Migration, find_faults, follow
from labeling.naming import RESERVED_LABELS, RESERVED_TASKS, Name
from labeling.vocabulary import CANNOT_TELL, NONE_OF_THESE

_BESIDE: Final = ("previous_label", "suggestion", "second_label")
"""Columns that hold a label beside ``label``."""


class Label(Config):
    """One answer that a task can have.

    ``domain`` groups labels on the labelling page; ``examples`` stand in the labelling guide.
    """

    name: Name
    title: str = Field(min_length=1, max_length=80)
    domain: str = Field(default="General", min_length=1, max_length=40)
    description: str = ""
    examples: tuple[str, ...] = ()


class Task(Config):
    """One question asked of every message.

    ``rejects`` says whether "none of these" may be answered, ``ordered`` whether the labels go from worst to best.
    """

    name: Name
    question: str = Field(min_length=1)
    labels: tuple[Label, ...] = Field(min_length=2)
    rejects: bool = False
    ordered: bool = False

    @model_validator(mode="after")
    def _check_labels(self) -> Self:
        names = [label.name for label in self.labels]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"labels stand more than once: {', '.join(repeated)}")
        if taken := sorted(set(names) & set(RESERVED_LABELS)):
            raise ValueError(f"reserved names cannot be labels: {', '.join(taken)}")
        return self

    @property
    def label_names(self) -> tuple[str, ...]:
        """The names of the labels in the order of the file, without the reject class."""
        return tuple(label.name for label in self.labels)

    @property
    def trainable(self) -> tuple[str, ...]:
        """What a model of this task may say: its labels, and the reject class where the task rejects."""
        return (*self.label_names, NONE_OF_THESE) if self.rejects else self.label_names

    @property
    def answers(self) -> tuple[str, ...]:
        """What a person may answer: everything trainable, and that they cannot tell."""
        return (*self.trainable, CANNOT_TELL)


class Taxonomy(Config):
    """Every task, in order. ``version`` is raised by whoever edits the labels.

    ``migrations`` say what became of the labels of older versions. Answers are stored as they were given and
    translated where they are read; nothing stored is rewritten.
    """

    schema_version: int = Field(ge=1, le=1)
    version: int = Field(ge=1)
    tasks: tuple[Task, ...] = Field(min_length=1)
    migrations: tuple[Migration, ...] = ()

    @model_validator(mode="after")
    def _check_tasks(self) -> Self:
        names = self.task_names
        if len(set(names)) != len(names):
            raise ValueError(f"task names must differ, found: {', '.join(names)}")
        if taken := sorted(set(names) & set(RESERVED_TASKS)):
            raise ValueError(f"reserved names cannot be tasks: {', '.join(taken)}")
        return self

    @model_validator(mode="after")
    def _check_migrations(self) -> Self:
        faults = find_faults(self.migrations, {task.name: task.trainable for task in self.tasks}, self.version)
        if faults:
            details = [
                InitErrorDetails(
                    type=PydanticCustomError("migration", "{fault}", {"fault": fault.message}),
                    loc=("migrations", *fault.place),
                    input=None,
                )
                for fault in faults
            ]
            raise ValidationError.from_exception_data("Taxonomy", details)
        return self

    @property
    def task_names(self) -> tuple[str, ...]:
        """The names of the tasks in the order of the file."""
        return tuple(task.name for task in self.tasks)

    def task(self, name: str) -> Task:
        """Return the task called ``name``.

        Raises:
            UnknownTask: names the tasks that there are.
        """
        for task in self.tasks:
            if task.name == name:
                return task
        raise UnknownTask(
            f"task {name!r} is not in the taxonomy, which has {', '.join(self.task_names)}: add it to taxonomy.yaml"
        )

    def former(self, task: str) -> dict[str, str | None]:
        """Return each label that ``task`` had in an older version → what it is called now, None where retired."""
        return follow(self.migrations, task)

    def current(self, task: str, label: str) -> str | None:
        """Return what ``label`` of any version is called now, None where it was retired or never known."""
        if task in self.task_names and label in self.task(task).answers:
            return label
        return self.former(task).get(label)

    def accepts(self, task: str, label: str) -> bool:
        """Say whether ``label`` is an answer to ``task`` now, or was one in a version that a migration tells of."""
        return (task in self.task_names and label in self.task(task).answers) or label in self.former(task)

    def translate(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return ``frame`` with the labels of older versions as they are called now; translating twice changes nothing.

        No row is lost. An answer whose label was retired becomes "cannot tell", which stands for no label everywhere:
        a person's later answer thereby still takes the place of their earlier one. Beside ``label``, in
        ``previous_label``, ``suggestion`` and ``second_label``, a retired label becomes null. What the taxonomy
        never knew stays as it is.

        Args:
            frame: columns ``task`` and any of those four; others are left alone.
        """
        moves = [
            (f"{task}/{old}", new)
            for task in dict.fromkeys(task for migration in self.migrations for task in migration.tasks)
            for old, new in self.former(task).items()
        ]
        if not moves:
            return frame
        beside = [column for column in _BESIDE if column in frame.columns]
        columns = [_translated(column, moves, retired=None) for column in beside]
        if "label" in frame.columns:
            columns.append(_translated("label", moves, retired=CANNOT_TELL))
        return frame.with_columns(columns)


def _translated(column: str, moves: list[tuple[str, str | None]], *, retired: str | None) -> pl.Expr:
    """Return ``column`` with each label that moved replaced; names hold no "/", so a task and a label make one key."""
    old = [key for key, _ in moves]
    new = pl.Series([now if now is not None else retired for _, now in moves], dtype=pl.String)
    key = pl.concat_str("task", column, separator="/")
    moved = key.replace_strict(old, new, default=None, return_dtype=pl.String)
    return pl.when(key.is_in(old)).then(moved).otherwise(pl.col(column)).alias(column)
