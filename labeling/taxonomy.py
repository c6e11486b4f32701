"""The taxonomy: tasks and their labels. A task is a row here, never a copy of the code."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from labeling.config import Config
from labeling.errors import UnknownTask
from labeling.vocabulary import CANNOT_TELL, NONE_OF_THESE

_RESERVED = (NONE_OF_THESE, CANNOT_TELL)


def _check_name(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name):
        raise ValueError("a name is 1 to 64 lower-case letters, digits and underscores, and starts with a letter")
    return name


Name = Annotated[str, AfterValidator(_check_name)]


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
    """One question asked of every message; ``rejects`` says whether "none of these" may be answered."""

    name: Name
    question: str = Field(min_length=1)
    labels: tuple[Label, ...] = Field(min_length=2)
    rejects: bool = False

    @model_validator(mode="after")
    def _check_labels(self) -> Self:
        names = [label.name for label in self.labels]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"labels stand more than once: {', '.join(repeated)}")
        if taken := sorted(set(names) & set(_RESERVED)):
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
    """Every task, in order. ``version`` is raised by whoever edits the labels."""

    schema_version: int = Field(ge=1, le=1)
    version: int = Field(ge=1)
    tasks: tuple[Task, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_tasks(self) -> Self:
        names = self.task_names
        if len(set(names)) != len(names):
            raise ValueError(f"task names must differ, found: {', '.join(names)}")
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
