"""The labelling desk over a real Label Studio server."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from labeling.desk.desk import Answer, Case, SentCase
from labeling.desk.interface import render_guide, render_page
from labeling.desk.label_studio_api import LabelStudioApi, condition
from labeling.desk.label_studio_tasks import KEY, SUGGESTER, read_answers, write_task
from labeling.errors import DeskRefused
from labeling.taxonomy import Taxonomy

_MARK: Final = "Made and kept up to date by cxloop."
_BATCH: Final = 100
"""So many keys or numbers fit the address of one request."""

_IMPORTED: Final = 500
_PARALLEL: Final = 4
_STANDING: Final = "id,data,overlap,total_annotations,cancelled_annotations"
_SETTINGS: Final[Mapping[str, Any]] = {
    "maximum_annotations": 1,
    "sampling": "Sequential sampling",
    "show_collab_predictions": True,
    "show_skip_button": True,
    "skip_queue": "REQUEUE_FOR_OTHERS",
    "enable_empty_annotation": False,
    "model_version": SUGGESTER,
}


class LabelStudioDesk:
    """A ``ReviewDesk`` that is one project of a Label Studio server.

    The project is found by its title, and by a sentence in its description that says that it is ours. Each case
    carries its key in its data, and is looked up before it is sent, because Label Studio takes an import twice. Every
    suggestion goes out under one model name, whatever champion made it, so that a case sent under an earlier champion
    still shows what it was sent with.

    Args:
        url: the server's address.
        token: a legacy token or a personal access token of a member.
        project_title: the title of the project, 3 to 50 characters.
    """

    def __init__(self, url: str, token: str, *, project_title: str) -> None:
        self._api = LabelStudioApi(url, token)
        self._title = project_title
        self._opened: tuple[int, Taxonomy] | None = None

    def open_project(self, taxonomy: Taxonomy) -> str:
        """Make the taxonomy's project, or bring its page up to date; return its id.

        Raises:
            DeskUnavailable: the server does not answer.
            DeskRefused: the token is wrong, a project of this title is not ours, or people answered a task that the
                taxonomy has no more.
        """
        wanted = {**_SETTINGS, "label_config": render_page(taxonomy), "expert_instruction": render_guide(taxonomy)}
        project = self._find_ours()
        if project is None:
            number = self._api.create_project({**wanted, "title": self._title, "description": _MARK})
        else:
            number = int(project["id"])
            self._bring_up_to_date(number, wanted)
        self._opened = (number, taxonomy)
        return str(number)

    def send(self, cases: Sequence[Case]) -> list[SentCase]:
        """Put ``cases`` on the desk; found, not doubled, where their ``case_id`` is there; in the order given.

        Raises:
            DeskUnavailable: the server does not answer; cases may have arrived, so call again with the same ones.
            DeskRefused: the project is not open, or was deleted.
        """
        project, taxonomy = self._project()
        standing: dict[str, int] = {}
        once = {case.case_id: case for case in cases}
        for batch in _batches(list(once.values()), _IMPORTED):
            found = self._look_up(project, [case.case_id for case in batch])
            new = [case for case in batch if case.case_id not in found]
            if new:
                made = self._api.import_tasks(project, [write_task(case, taxonomy) for case in new])
                found |= {case.case_id: _Standing(task, 1, 0) for case, task in zip(new, made, strict=True)}
            more = {case.case_id: case.overlap for case in batch if case.overlap > found[case.case_id].overlap}
            self._ask_for(more, found)
            standing |= {key: task.number for key, task in found.items()}
        return [SentCase(case.case_id, str(project), str(standing[case.case_id])) for case in cases]

    def fetch(self, since: datetime | None) -> list[Answer]:
        """Return the answers given or changed at or after ``since`` (all where None), oldest first, no drafts.

        Answers whose saving was cut short by a killed server are read, too, and their tasks are marked as finished
        where Label Studio missed it (it also miscounts two answers of the same instant), so that nobody is asked again.

        Raises:
            DeskUnavailable: the server does not answer.
            DeskRefused: the project is not open, or was deleted.
        """
        project, taxonomy = self._project()
        tasks = self._answered(project, since)
        for task in tasks:
            self._finish(task)
        people = self._api.list_people() if tasks else {}
        answers = [answer for task in tasks for answer in read_answers(task, taxonomy, people)]
        recent = [answer for answer in answers if since is None or answer.answered_at >= since]
        return sorted(recent, key=lambda answer: (answer.answered_at, answer.answer_id))

    def list_answers(self, since: datetime) -> dict[str, frozenset[str]]:
        """Return case id → ids of all its answers, of the cases where something was answered, changed or deleted.

        Raises:
            DeskUnavailable: the server does not answer.
            DeskRefused: the project is not open, or was deleted.
        """
        project, taxonomy = self._project()
        found: dict[str, frozenset[str]] = {}
        for task in self._read_whole(project, self._touched(project, since)):
            if isinstance(key := task["data"].get(KEY), str):
                here = {answer.answer_id for answer in read_answers(task, taxonomy, {})}
                found[key] = found.get(key, frozenset()) | here
        return found

    def ask_again(self, overlaps: Mapping[str, int]) -> None:
        """Set how many answers each case should get in all; 0 ends it. Cases that are not there are passed over.

        Raises:
            DeskUnavailable: the server does not answer; call again with the same cases.
            DeskRefused: the project is not open, or was deleted.
        """
        project, _ = self._project()
        found = self._look_up(project, list(overlaps))
        self._ask_for({key: overlaps[key] for key in found}, found)

    def count_waiting(self) -> int:
        """Return how many cases stand at the desk with fewer answers than asked for.

        Raises:
            DeskUnavailable: the server does not answer.
            DeskRefused: the project is not open, or was deleted.
        """
        project = self._api.read_project(self._project()[0])
        return int(project["task_number"] or 0) - int(project["finished_task_number"] or 0)

    def count_cases(self) -> int:
        """Return how many tasks stand in the project, answered or not.

        Raises:
            DeskUnavailable: the server does not answer.
            DeskRefused: the project is not open, or was deleted.
        """
        return int(self._api.read_project(self._project()[0])["task_number"] or 0)

    def list_cases(self) -> dict[str, str]:
        """Return case id → task of all cases at the desk, read task by task.

        Of a case that came twice, unanswered copies are removed. A case comes twice where an import that seemed to fail
        was carried out later, after it was sent again.

        Raises:
            DeskUnavailable: the server does not answer.
            DeskRefused: the project is not open, or was deleted.
        """
        copies: dict[str, list[tuple[bool, int]]] = {}
        for task in self._api.list_tasks(self._project()[0], columns=_STANDING):
            if isinstance(key := task["data"].get(KEY), str):
                copies.setdefault(key, []).append((_count_answers(task) == 0, task["id"]))
        spare = [task for found in copies.values() for is_bare, task in sorted(found)[1:] if is_bare]
        self._delete(spare)
        return {key: str(min(found)[1]) for key, found in copies.items()}

    def withdraw(self, case_ids: Sequence[str]) -> set[str]:
        """Take off the desk those of the cases that nobody answered or skipped; return those that stand there still.

        Raises:
            DeskUnavailable: the server does not answer; call again with the same cases.
            DeskRefused: the project is not open, or was deleted.
        """
        project, _ = self._project()
        tasks = self._find(project, list(dict.fromkeys(case_ids)))
        answered = {task["data"][KEY] for task in tasks if _count_answers(task)}
        self._delete([task["id"] for task in tasks if task["data"][KEY] not in answered])
        return answered

    def remove(self, case_ids: Sequence[str]) -> int:
        """Take cases off the desk for good, with every answer to them; return how many tasks there were.

        Raises:
            DeskUnavailable: the server does not answer; call again with the same cases.
            DeskRefused: the project is not open, or was deleted.
        """
        project, _ = self._project()
        standing = [int(task["id"]) for task in self._find(project, list(dict.fromkeys(case_ids)))]
        self._api.read_project(project)  # where nothing was asked for, a deleted project is told all the same
        return self._delete(standing)

    def _delete(self, tasks: Sequence[int]) -> int:
        with ThreadPoolExecutor(_PARALLEL) as pool:
            return sum(pool.map(self._api.delete_task, tasks))

    def _project(self) -> tuple[int, Taxonomy]:
        if self._opened is None:
            raise DeskRefused("a project is needed at the desk, none was opened: call open_project first")
        return self._opened

    def _find_ours(self) -> dict[str, Any] | None:
        found = self._api.find_projects(self._title)
        ours = [project for project in found if str(project.get("description") or "").startswith(_MARK)]
        if found and not ours:
            raise DeskRefused(
                f"Label Studio has a project called {self._title!r} that cxloop did not make: rename that one, "
                f"or begin its description with “{_MARK}”"
            )
        return ours[0] if ours else None

    def _bring_up_to_date(self, project: int, wanted: Mapping[str, Any]) -> None:
        stored = self._api.read_project(project)
        changed = {name: value for name, value in wanted.items() if stored.get(name) != value}
        if not stored.get("total_predictions_number"):
            changed.pop("model_version", None)  # refused while no suggestion bears the name; the first import sets it
        if changed:
            self._api.update_project(project, changed)

    def _find(self, project: int, keys: Sequence[str]) -> list[dict[str, Any]]:
        """Return the tasks of the cases called ``keys``, the oldest first."""

        def find(batch: Sequence[str]) -> list[dict[str, Any]]:
            where = [condition(f"data.{KEY}", "in_list", "String", list(batch))]
            return list(self._api.list_tasks(project, where=where, columns=_STANDING))

        with ThreadPoolExecutor(_PARALLEL) as pool:
            found = pool.map(find, _batches(keys))
            return sorted((task for tasks in found for task in tasks), key=lambda task: task["id"])

    def _look_up(self, project: int, keys: Sequence[str]) -> dict[str, "_Standing"]:
        """Return case id → where it stands; of a case that came twice the copy that was answered, or the oldest."""
        found: dict[str, _Standing] = {}
        for task in self._find(project, keys):
            here, before = _Standing(task["id"], task["overlap"], task["total_annotations"] or 0), task["data"][KEY]
            if before not in found or here.answers > found[before].answers:
                found[before] = here
        return found

    def _ask_for(self, overlaps: Mapping[str, int], found: Mapping[str, "_Standing"]) -> None:
        """Set how many people should answer, which an import cannot say; each case costs a call."""

        def change(key: str) -> None:
            wanted, task = overlaps[key], found[key]
            self._api.change_task(task.number, {"overlap": max(wanted, 1), "is_labeled": task.answers >= wanted})

        with ThreadPoolExecutor(_PARALLEL) as pool:
            list(pool.map(change, (key for key in overlaps if overlaps[key] != found[key].overlap)))

    def _finish(self, task: Mapping[str, Any]) -> None:
        given = [one for one in task["annotations"] if not one["was_cancelled"]]
        enough = len({one["completed_by"] for one in given}) >= task["overlap"]
        if enough and not task["is_labeled"]:
            counts = {"total_annotations": len(given), "cancelled_annotations": len(task["annotations"]) - len(given)}
            self._api.change_task(task["id"], {"is_labeled": True, **counts})

    def _answered(self, project: int, since: datetime | None) -> list[dict[str, Any]]:
        """Return tasks with an answer newer than ``since``, in full.

        An answer is saved before its task's ``updated_at``. Where the server was killed in between, it shows in
        ``completed_at``, or the task counts fewer answers than it has.
        """
        somebody = condition("annotators", "empty", "List", False)
        if since is None:
            return list(self._api.list_tasks(project, where=[somebody]))
        finished = [condition("completed_at", "greater_or_equal", "Datetime", _write_time(since))]
        unfinished = [condition("completed_at", "empty", "Datetime", True), somebody]
        numbers = self._touched(project, since)
        numbers |= {task["id"] for task in self._api.list_tasks(project, where=finished, columns="id")}
        for task in self._api.list_tasks(project, where=unfinished, columns=f"{_STANDING},annotations_ids"):
            if len(str(task.get("annotations_ids") or "").split(",")) != _count_answers(task):
                numbers.add(task["id"])
        return list(self._read_whole(project, numbers))

    def _touched(self, project: int, since: datetime) -> set[int]:
        """Return the tasks in which a person saved, changed or deleted an answer; an import is no person's doing."""
        moved = condition("updated_at", "greater_or_equal", "Datetime", _write_time(since))
        by_person = condition("updated_by", "empty", "List", False)
        return {task["id"] for task in self._api.list_tasks(project, where=[moved, by_person], columns="id")}

    def _read_whole(self, project: int, numbers: Iterable[int]) -> Iterator[dict[str, Any]]:
        for batch in _batches(sorted(numbers)):
            yield from self._api.list_tasks(project, where=[condition("id", "in_list", "Number", batch)])


@dataclass(frozen=True)
class _Standing:
    """A task of Label Studio: its number, how many answers it asks for, and how many it has, skips left out."""

    number: int
    overlap: int
    answers: int


def _count_answers(task: Mapping[str, Any]) -> int:
    """Return how many answers a task counts, skips included."""
    return (task["total_annotations"] or 0) + (task["cancelled_annotations"] or 0)


def _write_time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _batches(things: Sequence[Any], size: int = _BATCH) -> list[Sequence[Any]]:
    return [things[start : start + size] for start in range(0, len(things), size)]
