"""Labels that people gave in a Label Studio project of their own, before cxloop came."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from xml.etree import ElementTree

from labeling.desk.label_studio_api import LabelStudioApi, ProjectGone
from labeling.errors import DeskRefused
from labeling.sources.labelled import LabelledText

_TEXTS: Final = ("Text", "Paragraphs", "HyperText")


@dataclass(frozen=True)
class Page:
    """What a labelling page asks: the key of the text in a task's data, and its questions of one choice."""

    text_key: str
    tasks: tuple[str, ...]


def read_page(label_config: str) -> Page:
    """Return what the page of a project asks.

    Raises:
        DeskRefused: the page shows no text from the task's data, or has no ``Choices``.
    """
    try:
        root = ElementTree.fromstring(label_config)  # noqa: S314 - expat of Python 3.11 refuses entity floods
    except ElementTree.ParseError as error:
        raise DeskRefused("the project's labelling page is not XML: open its settings and repair it") from error
    texts = [found for tag in _TEXTS for found in root.iter(tag) if found.get("value", "").startswith("$")]
    tasks = tuple(name for found in root.iter("Choices") if (name := found.get("name")))
    if not texts or not tasks:
        raise DeskRefused(
            f"the project's page needs a text and a choice, found {len(texts)} texts and {len(tasks)} choices: "
            "name a project that classifies texts"
        )
    return Page(texts[0].get("value", "").removeprefix("$"), tasks)


def read_answers(page: Page, tasks: Iterable[Mapping[str, Any]]) -> list[LabelledText]:
    """Return every answer to ``tasks``: one a person and text; skipped and several-choice answers are left out.

    Args:
        page: what the project asks.
        tasks: tasks with their ``data`` and ``annotations``, as Label Studio's API gives them.
    """
    answers = []
    for task in tasks:
        text = task["data"].get(page.text_key)
        if not isinstance(text, str) or not text.strip():
            continue
        for annotation in task["annotations"]:
            labels = {} if annotation.get("was_cancelled") else _read_choices(page, annotation["result"])
            if labels:
                at = _read_time(annotation.get("updated_at") or annotation["created_at"])
                annotator = f"label-studio-{_read_person(annotation.get('completed_by'))}"
                answers.append(LabelledText(str(task["id"]), text, labels, annotator, at))
    return answers


def read_project(url: str, token: str, project: int) -> list[LabelledText]:
    """Return every answer that people gave in a project of a Label Studio server.

    Raises:
        DeskUnavailable: the server does not answer.
        DeskRefused: it does not know the token or the project, or the project does not classify texts.
    """
    api = LabelStudioApi(url, token)
    try:
        page = read_page(api.read_project(project)["label_config"])
    except ProjectGone as error:
        raise DeskRefused(
            f"project {project} is needed, Label Studio at {url} has none of that number: it stands in the address of "
            "the project's page"
        ) from error
    return read_answers(page, api.list_tasks(project))


def _read_choices(page: Page, result: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return {
        item["from_name"]: item["value"]["choices"][0]
        for item in result
        if item.get("from_name") in page.tasks and len(item.get("value", {}).get("choices", ())) == 1
    }


def _read_person(completed_by: Any) -> str:
    """Return the number of the annotator, which the API gives as a number or as an object."""
    return str(completed_by["id"] if isinstance(completed_by, Mapping) else completed_by)


def _read_time(written: Any) -> datetime:
    at = written if isinstance(written, datetime) else datetime.fromisoformat(written)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
