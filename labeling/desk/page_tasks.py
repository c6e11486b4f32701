"""What the page asks: the taxonomy's tasks and the handoff, each answer with its title and its domain."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from labeling.taxonomy import Label, Task, Taxonomy
from labeling.vocabulary import CANNOT_TELL, HANDOFF, NEEDED, NONE_OF_THESE, NOT_NEEDED

TITLES: Final[Mapping[str, str]] = MappingProxyType({NONE_OF_THESE: "None of these / new", CANNOT_TELL: "Cannot tell"})
OTHERWISE: Final = "Otherwise"
"""The domain of the answers that every large task has."""

HANDOFF_TASK: Final = Task(
    name=HANDOFF,
    question="Should a person take this over?",
    labels=(
        Label(
            name=NEEDED,
            title="Person needed",
            description="The assistant may not decide this, cannot do it, or has failed at it; or the customer asks "
            "for a person, is in distress, or will leave.",
        ),
        Label(
            name=NOT_NEEDED,
            title="No person needed",
            description="What the customer wants can be told or done without a person's judgement.",
        ),
    ),
)
"""The fixed question beside the taxonomy's tasks."""

_SMALL: Final = 7


def page_tasks(taxonomy: Taxonomy) -> tuple[Task, ...]:
    """Return every question of the page in order: the taxonomy's tasks, then the handoff."""
    return (*taxonomy.tasks, HANDOFF_TASK)


def find_task(taxonomy: Taxonomy, name: str) -> Task | None:
    """Return the question called ``name``, None where the page does not ask it."""
    return next((task for task in page_tasks(taxonomy) if task.name == name), None)


def is_small(task: Task) -> bool:
    """Say whether the answers of ``task`` fit one row of letters."""
    return len(task.answers) <= _SMALL


def groups(task: Task) -> list[tuple[str, tuple[str, ...]]]:
    """Return the answers of ``task`` by domain, in the order of the taxonomy; the reserved answers come last."""
    domains: dict[str, list[str]] = {}
    for label in task.labels:
        domains.setdefault(label.domain, []).append(label.name)
    reserved = task.answers[len(task.labels) :]
    return [*((domain, tuple(names)) for domain, names in domains.items()), (OTHERWISE, reserved)]


def answer_titles(task: Task) -> dict[str, str]:
    """Return answer → what the page calls it; a title that two labels share is followed by the label's name."""
    titles = [label.title for label in task.labels]
    shown = {
        label.name: label.title if titles.count(label.title) == 1 else f"{label.title} ({label.name})"
        for label in task.labels
    }
    return shown | {name: TITLES[name] for name in task.answers if name in TITLES}
