"""The calls that cxloop makes to a Label Studio server: the one file that knows its SDK."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast
from urllib.parse import urlencode, urlsplit

from labeling.errors import DeskError, DeskRefused, DeskUnavailable

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio
    from label_studio_sdk.core import RequestOptions

_PAGE: Final = 200
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_TIMEOUT_SECONDS: Final = 60.0

Result = TypeVar("Result")


class ProjectGone(DeskRefused):
    """The project was deleted in Label Studio."""


class LabelStudioApi:
    """One server and one person's token (a legacy token or a personal access token).

    No call is repeated by itself: Label Studio would take an import twice. Errors never carry what the server said,
    because that can hold a customer's text.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = url.rstrip("/")
        self._token = token
        self._client: LabelStudio | None = None

    def find_projects(self, title: str) -> list[dict[str, Any]]:
        """Return the projects called exactly ``title``, oldest first."""
        found = self._ask(lambda client: list(client.projects.list(title=title, request_options=_ONCE)))
        return sorted((_plain(one) for one in found if one.title == title), key=lambda project: project["id"])

    def read_project(self, project: int) -> dict[str, Any]:
        """Return one project.

        Raises:
            ProjectGone: there is none.
        """
        return _plain(self._ask(lambda client: client.projects.get(project, request_options=_ONCE), project))

    def create_project(self, settings: Mapping[str, Any]) -> int:
        """Make a project and return its id."""
        made = self._ask(lambda client: client.projects.create(**settings, request_options=_ONCE))
        return int(_plain(made)["id"])

    def update_project(self, project: int, settings: Mapping[str, Any]) -> None:
        """Change settings of a project."""
        self._ask(lambda client: client.projects.update(project, **settings, request_options=_ONCE), project)

    def list_tasks(
        self, project: int, *, where: Sequence[dict[str, Any]] = (), columns: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield the tasks of a project that meet every condition of ``where``, by id.

        Args:
            project: its id.
            where: conditions made by ``condition``.
            columns: names separated by commas; None gives all, with annotations.
        """
        query = json.dumps({"filters": {"conjunction": "and", "items": list(where)}, "ordering": ["tasks:id"]})
        for page in count(1):
            tasks, total = self._read_page(project, page, query, columns)
            yield from tasks
            if page * _PAGE >= total:
                return

    def _read_page(self, project: int, page: int, query: str, columns: str | None) -> tuple[list[dict[str, Any]], int]:
        """Return one page of tasks, and how many tasks there are in all."""
        chosen: dict[str, Any] = {"include": columns, "fields": "task_only"} if columns else {"fields": "all"}

        def ask(client: "LabelStudio") -> tuple[list[dict[str, Any]], int]:
            read = client.tasks.list(
                project=project, page=page, page_size=_PAGE, query=query, request_options=_ONCE, **chosen
            )
            return [_plain(task) for task in read.items or ()], int(read.response.total or 0)

        try:
            return self._ask(ask, project)
        except ProjectGone:
            if page == 1:
                raise
            self.read_project(project)  # a page past the last answers 404 too: tasks were deleted meanwhile
            return [], 0

    def import_tasks(self, project: int, tasks: Sequence[dict[str, Any]]) -> list[int]:
        """Put tasks, with their predictions, into a project; return their ids in the same order.

        Where this raises ``DeskUnavailable`` the whole batch may be in, or nothing of it: look before trying again.
        """
        answer = self._ask(
            lambda client: client.projects.import_tasks(
                project, request=cast(Any, tasks), return_task_ids=True, request_options=_ONCE
            ),
            project,
        )
        return [int(number) for number in _plain(answer)["task_ids"]]

    def change_task(self, task: int, settings: Mapping[str, Any]) -> None:
        """Change fields of a task."""
        self._ask(lambda client: client.tasks.update(str(task), **settings, request_options=_ONCE))

    def delete_task(self, task: int) -> bool:
        """Delete a task with its annotations and predictions; whether it was there."""
        try:
            self._ask(lambda client: client.tasks.delete(str(task), request_options=_ONCE), task)
        except ProjectGone:  # the server answers 404: somebody else deleted it meanwhile
            return False
        return True

    def list_people(self) -> dict[int, str]:
        """Return user id → e-mail address of everyone at the server."""
        people = self._ask(lambda client: client.users.list(request_options=_ONCE))
        return {person.id: person.email for person in people if person.id is not None and person.email}

    def read_invitation(self) -> str:
        """Return the link by which a person joins the organisation."""
        path = {"path": "api/invite", "method": "GET", "request_options": _ONCE}
        answer = self._ask(lambda client: client._client_wrapper.httpx_client.request(**path))
        if answer.status_code != 200:
            raise _refusal(self.url, answer.status_code, None)
        return f"{self.url}/user/signup/?{urlencode({'token': answer.json()['token']})}"

    def _ask(self, call: "Callable[[LabelStudio], Result]", project: int | None = None) -> Result:
        import httpx
        from label_studio_sdk.core.api_error import ApiError

        try:
            return call(self._open())
        except ApiError as error:
            raise _refusal(self.url, error.status_code or 0, project) from None
        except (httpx.TransportError, OSError) as error:
            raise DeskUnavailable(
                f"Label Studio is needed at {self.url}, but it does not answer ({type(error).__name__}): "
                "start it (`cxloop up`) and run this again"
            ) from error

    def _open(self) -> "LabelStudio":
        if self._client is None:
            import httpx
            from label_studio_sdk import LabelStudio

            beyond = urlsplit(self.url).hostname not in _LOOPBACK
            self._client = LabelStudio(
                base_url=self.url,
                api_key=self._token,
                httpx_client=httpx.Client(timeout=_TIMEOUT_SECONDS, trust_env=beyond, follow_redirects=True),
            )
        return self._client


_ONCE: "Final[RequestOptions]" = {"max_retries": 0}


def condition(column: str, operator: str, kind: str, value: Any) -> dict[str, Any]:
    """Return one condition on tasks in the words of Label Studio's data manager."""
    return {"filter": f"filter:tasks:{column}", "operator": operator, "type": kind, "value": value}


def _plain(answer: Any) -> dict[str, Any]:
    """Return an answer of the SDK as a plain dictionary."""
    return answer if isinstance(answer, dict) else answer.model_dump()


def _refusal(url: str, status: int, project: int | None) -> DeskError:
    if status in (401, 403):
        return DeskRefused(
            f"Label Studio at {url} does not accept the token ({status}): put one of a member with the right to "
            "projects into CXLOOP_LABEL_STUDIO_TOKEN"
        )
    if status == 404 and project is not None:
        return ProjectGone(
            f"project {project} is needed, but Label Studio at {url} has it no more: open it again, which makes a new "
            "one, and send what was not answered"
        )
    if status >= 500 or status == 429:
        return DeskUnavailable(f"Label Studio at {url} answered {status}: run this again; if it stays, read its log")
    return DeskRefused(
        f"Label Studio at {url} refused the request ({status}): it may not be a version that cxloop knows"
    )
