"""Both desks behind one handle, and what the contract tests send to them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import httpx

from labeling.desk.annotating import Annotator, GivenAnswer, answer_case, join
from labeling.desk.desk import Case, ReviewDesk, Suggestion, Turn
from labeling.desk.fake import FakeReviewDesk
from labeling.desk.label_studio import LabelStudioDesk
from labeling.desk.label_studio_tasks import SIMULATED_DOMAIN
from labeling.desk.page_result import write_result
from labeling.desk.server import RunningServer
from labeling.taxonomy import Label, Task, Taxonomy

TAXONOMY = Taxonomy(
    schema_version=1,
    version=1,
    tasks=(
        Task(
            name="intent",
            question="What does the customer want?",
            rejects=True,
            labels=tuple(
                Label(name=name, title=title, domain=domain, description=f"About {title.lower()}.", examples=("Hm?",))
                for name, title, domain in (
                    ("card_lost", "Card lost", "Cards"),
                    ("card_blocked", "Card blocked", "Cards"),
                    ("card_new", "New card", "Cards"),
                    ("fee_dispute", "Fee in dispute", "Fees"),
                    ("fee_question", "Question on fees", "Fees"),
                    ("transfer_failed", "Transfer failed", "Transfers"),
                    ("transfer_cancel", "Cancel a transfer", "Transfers"),
                )
            ),
        ),
        Task(
            name="sentiment",
            question="How does the customer feel?",
            labels=tuple(Label(name=name, title=name.title()) for name in ("negative", "neutral", "positive")),
        ),
    ),
)

URGENCY = Task(
    name="urgency",
    question="How soon does it matter?",
    labels=(Label(name="today", title="Today"), Label(name="later", title="Later")),
)


def case(number: int, **changed: Any) -> Case:
    """A case with a suggestion for both tasks, unless ``changed`` says otherwise."""
    fields: dict[str, Any] = {
        "case_id": f"case-{number:05d}",
        "interaction_id": f"interaction-{number}",
        "conversation": (Turn("customer", f"Message {number}: my card is gone"),),
        "suggestions": {"intent": Suggestion("card_lost", 0.71), "sentiment": Suggestion("neutral", 0.55)},
        "context": {"channel": "chat"},
        "reason": "uncertainty",
        "blind": False,
        "overlap": 1,
    }
    return Case(**(fields | changed))


class DeskHandle(Protocol):
    """A desk with people whom a test can make answer; everything else goes through the port."""

    def open(self) -> ReviewDesk:
        """A new adapter over the same desk, as another process would make it."""
        ...

    def answer(self, desk_task_id: str, case_id: str, annotator: str, labels: Mapping[str, str] | None) -> bool: ...

    def change(self, desk_task_id: str, case_id: str, annotator: str, labels: Mapping[str, str]) -> None: ...

    def delete_answer(self, desk_task_id: str, case_id: str, annotator: str) -> None: ...

    def delete_case(self, desk_task_id: str, case_id: str) -> None: ...

    def delete_project(self, project_id: str) -> None: ...


class FakeHandle:
    """The fake desk."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def open(self) -> FakeReviewDesk:
        return FakeReviewDesk(self._root)

    def answer(self, desk_task_id: str, case_id: str, annotator: str, labels: Mapping[str, str] | None) -> bool:
        return self.open().answer(case_id, annotator, labels, datetime.now(UTC), lead_seconds=2.5)

    def change(self, desk_task_id: str, case_id: str, annotator: str, labels: Mapping[str, str]) -> None:
        self.open().change_answer(case_id, annotator, labels, datetime.now(UTC))

    def delete_answer(self, desk_task_id: str, case_id: str, annotator: str) -> None:
        self.open().delete_answer(case_id, annotator, datetime.now(UTC))

    def delete_case(self, desk_task_id: str, case_id: str) -> None:
        desk = self.open()
        desk.open_project(TAXONOMY)
        desk.remove([case_id])

    def delete_project(self, project_id: str) -> None:
        self.open().delete_project()


class LabelStudioHandle:
    """The real desk, in a project of its own."""

    def __init__(self, server: RunningServer, title: str) -> None:
        self._server = server
        self._title = title
        self._people: dict[str, Annotator] = {}

    def open(self) -> LabelStudioDesk:
        return LabelStudioDesk(self._server.url, self._server.token, project_title=self._title)

    def answer(self, desk_task_id: str, case_id: str, annotator: str, labels: Mapping[str, str] | None) -> bool:
        return answer_case(self._server.url, GivenAnswer(self._person(annotator), desk_task_id, labels, 2.5))

    def change(self, desk_task_id: str, case_id: str, annotator: str, labels: Mapping[str, str]) -> None:
        change = {"result": write_result(labels), "was_cancelled": False}
        with self.client(self._people[annotator].token) as client:
            number = self._find(client, desk_task_id, annotator)
            client.patch(f"/api/annotations/{number}/", json=change).raise_for_status()

    def delete_answer(self, desk_task_id: str, case_id: str, annotator: str) -> None:
        with self.client(self._server.token) as client:
            client.delete(f"/api/annotations/{self._find(client, desk_task_id, annotator)}/").raise_for_status()

    def delete_case(self, desk_task_id: str, case_id: str) -> None:
        with self.client(self._server.token) as client:
            client.delete(f"/api/tasks/{desk_task_id}/").raise_for_status()

    def offered(self, project_id: str, annotator: str) -> str | None:
        """The case that the page would show to a person next, None where there is none."""
        with self.client(self._person(annotator).token) as client:
            found = client.get(f"/api/projects/{project_id}/next/")
            return found.json()["data"]["case_id"] if found.status_code == 200 else None

    def delete_project(self, project_id: str) -> None:
        with self.client(self._server.token) as client:
            client.delete(f"/api/projects/{project_id}/").raise_for_status()

    def _find(self, client: httpx.Client, desk_task_id: str, annotator: str) -> int:
        """The number of the annotation that ``annotator`` gave, a skip among them."""
        people = {user["email"]: user["id"] for user in client.get("/api/users/").raise_for_status().json()}
        given = client.get(f"/api/tasks/{desk_task_id}/").raise_for_status().json()["annotations"]
        mine = people[f"{annotator}{SIMULATED_DOMAIN}"]
        (number,) = (one["id"] for one in given if _owner(one) == mine)
        return number

    def _person(self, name: str) -> Annotator:
        if name not in self._people:
            self._people[name] = join(self._server.url, self._server.token, name)
        return self._people[name]

    def client(self, token: str) -> httpx.Client:
        headers = {"Authorization": f"Token {token}"}
        return httpx.Client(base_url=self._server.url, headers=headers, trust_env=False, timeout=60)


def _owner(annotation: Mapping[str, Any]) -> int:
    by = annotation["completed_by"]
    return by["id"] if isinstance(by, Mapping) else by
