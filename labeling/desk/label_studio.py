"""The labelling desk over a real Label Studio server."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Final

from labeling.desk.case_form import read_labels, shown_suggestions, suggestion_in_words, visible
from labeling.desk.desk import Answer, Case, SentCase
from labeling.desk.interface import DIALOGUE, render_guide, render_page
from labeling.desk.label_studio_api import LabelStudioApi, condition
from labeling.errors import DeskRefused
from labeling.taxonomy import Taxonomy

SIMULATED_DOMAIN: Final = "@simulated.invalid"
"""Where simulated annotators have their addresses; in their ids it is left out."""

_MARK: Final = "Made and kept up to date by cxloop."
_SUGGESTER: Final = "cxloop"
_BATCH: Final = 100
_PARALLEL: Final = 4
_KEY: Final = "case_id"
_SETTINGS: Final[Mapping[str, Any]] = {
    "maximum_annotations": 1,
    "sampling": "Sequential sampling",
    "show_collab_predictions": True,
    "show_skip_button": True,
    "enable_empty_annotation": False,
    "model_version": _SUGGESTER,
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
        for batch in _batches(list(once.values())):
            found = self._look_up(project, [case.case_id for case in batch])
            new = [case for case in batch if case.case_id not in found]
            if new:
                made = self._api.import_tasks(project, [write_task(case, taxonomy) for case in new])
                found |= {case.case_id: (task, 1, 0) for case, task in zip(new, made, strict=True)}
            self._ask_for_overlap(batch, found)
            standing |= {key: task for key, (task, _, _) in found.items()}
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

    def count_waiting(self) -> int:
        """Return how many cases stand at the desk with fewer answers than asked for.

        Raises:
            DeskUnavailable: the server does not answer.
            DeskRefused: the project is not open, or was deleted.
        """
        project = self._api.read_project(self._project()[0])
        return int(project["task_number"] or 0) - int(project["finished_task_number"] or 0)

    def remove(self, case_ids: Sequence[str]) -> int:
        """Take cases off the desk for good, with every answer to them; return how many tasks there were.

        Raises:
            DeskUnavailable: the server does not answer; call again with the same cases.
            DeskRefused: the project is not open, or was deleted.
        """
        project, _ = self._project()
        standing = [
            int(task["id"])
            for batch in _batches(list(dict.fromkeys(case_ids)))
            for task in self._api.list_tasks(
                project, where=[condition(f"data.{_KEY}", "in_list", "String", list(batch))], columns="id"
            )
        ]
        self._api.read_project(project)  # where nothing was asked for, a deleted project is told all the same
        with ThreadPoolExecutor(_PARALLEL) as pool:
            return sum(pool.map(self._api.delete_task, standing))

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

    def _look_up(self, project: int, keys: list[str]) -> dict[str, tuple[int, int, int]]:
        """Return case id → (task, overlap, number of answers) of those at the desk; the oldest where two are."""
        where = [condition(f"data.{_KEY}", "in_list", "String", keys)]
        found: dict[str, tuple[int, int, int]] = {}
        for task in self._api.list_tasks(project, where=where, columns="id,data,overlap,total_annotations"):
            found.setdefault(task["data"][_KEY], (task["id"], task["overlap"], task["total_annotations"] or 0))
        return found

    def _ask_for_overlap(self, cases: Iterable[Case], found: Mapping[str, tuple[int, int, int]]) -> None:
        """Set how many people should answer, which an import cannot say."""

        def change(case: Case) -> None:
            task, _, answers = found[case.case_id]
            self._api.change_task(task, {"overlap": case.overlap, "is_labeled": answers >= case.overlap})

        with ThreadPoolExecutor(_PARALLEL) as pool:
            list(pool.map(change, (case for case in cases if found[case.case_id][1] != case.overlap)))

    def _finish(self, task: Mapping[str, Any]) -> None:
        given = [one for one in task["annotations"] if not one["was_cancelled"]]
        enough = len({one["completed_by"] for one in given}) >= task["overlap"]
        if enough and not task["is_labeled"]:
            counts = {"total_annotations": len(given), "cancelled_annotations": len(task["annotations"]) - len(given)}
            self._api.change_task(task["id"], {"is_labeled": True, **counts})

    def _answered(self, project: int, since: datetime | None) -> list[dict[str, Any]]:
        """Return tasks with an answer newer than ``since``, in full.

        An answer is saved before its task's ``updated_at``. Where the server was killed in between, it shows in
        ``completed_at``, or the task counts as unfinished though someone answered.
        """
        somebody = condition("annotators", "empty", "List", False)
        if since is None:
            return list(self._api.list_tasks(project, where=[somebody]))
        at = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        signs = (
            [condition("updated_at", "greater_or_equal", "Datetime", at), somebody],
            [condition("completed_at", "greater_or_equal", "Datetime", at)],
            [condition("completed_at", "empty", "Datetime", True), somebody],
        )
        numbers = {task["id"] for where in signs for task in self._api.list_tasks(project, where=where, columns="id")}
        return [
            task
            for batch in _batches(sorted(numbers))
            for task in self._api.list_tasks(project, where=[condition("id", "in_list", "Number", batch)])
        ]


def write_task(case: Case, taxonomy: Taxonomy) -> dict[str, Any]:
    """Return a case as Label Studio imports it; nothing of the model goes along with a blind one."""
    shown = shown_suggestions(case, taxonomy)
    task: dict[str, Any] = {
        "data": {
            _KEY: case.case_id,
            "interaction_id": case.interaction_id,
            DIALOGUE: [{"author": turn.author, "text": visible(turn.text)} for turn in case.conversation],
            "suggested": suggestion_in_words(case, taxonomy),
            "about": visible("\n".join(f"{name}: {value}" for name, value in case.context.items())) or " ",
            "reason": case.reason,
            "blind": case.blind,
            "suggestions": shown,
        }
    }
    if shown:
        confidence = min(case.suggestions[name].confidence for name in shown)
        result = [write_choice(name, label) for name, label in shown.items()]
        task["predictions"] = [{"model_version": _SUGGESTER, "score": confidence, "result": result}]
    return task


def write_choice(task: str, label: str) -> dict[str, Any]:
    """Return one answer as Label Studio stores it."""
    return {"from_name": task, "to_name": DIALOGUE, "type": "choices", "value": {"choices": [label]}}


def read_answers(task: Mapping[str, Any], taxonomy: Taxonomy, people: Mapping[int, str]) -> list[Answer]:
    """Return the answers of one task of Label Studio; none where the task is not one of our cases.

    An answer's id holds when it was made, because Label Studio's own numbers start again with a new database.
    """
    data = task["data"]
    if not isinstance(data.get(_KEY), str) or not isinstance(data.get("interaction_id"), str):
        return []
    answers = []
    for annotation in task["annotations"] or ():
        skipped = bool(annotation["was_cancelled"])
        labels, refused = read_labels({} if skipped else _read_choices(annotation["result"]), taxonomy)
        made = datetime.fromisoformat(annotation["created_at"])
        answers.append(
            Answer(
                answer_id=f"ls-{annotation['id']}-{made.timestamp() * 1_000_000:.0f}",
                case_id=data[_KEY],
                interaction_id=data["interaction_id"],
                annotator_id=people.get(annotation["completed_by"], "unknown").removesuffix(SIMULATED_DOMAIN),
                labels=labels,
                refused=refused,
                suggestions=dict(data.get("suggestions") or {}),
                is_blind=bool(data.get("blind")),
                is_skipped=skipped,
                answered_at=datetime.fromisoformat(annotation["updated_at"]).astimezone(UTC),
                lead_seconds=annotation["lead_time"],
            )
        )
    return answers


def _read_choices(result: object) -> dict[str, object]:
    """Return control → its one choice, or everything it holds where that is not one choice."""
    found: dict[str, object] = {}
    for item in result if isinstance(result, list) else ():
        if isinstance(item, dict) and isinstance(item.get("from_name"), str) and item.get("type") == "choices":
            value = item.get("value")
            choices = value.get("choices") if isinstance(value, dict) else None
            one = choices[0] if isinstance(choices, list) and len(choices) == 1 else choices
            found[item["from_name"]] = one if item["from_name"] not in found else [found[item["from_name"]], one]
    return found


def _batches(things: Sequence[Any]) -> list[Sequence[Any]]:
    return [things[start : start + _BATCH] for start in range(0, len(things), _BATCH)]
