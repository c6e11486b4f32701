"""Simulated annotators who answer through Label Studio's own API, each a member with an account of their own."""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import httpx

from labeling.desk.label_studio_tasks import SIMULATED_DOMAIN
from labeling.desk.page_result import write_result
from labeling.digests import keyed_digest
from labeling.errors import DeskRefused, DeskUnavailable

_NAMESPACE: Final = uuid.UUID("0d3f4a52-6b0e-4f5c-9c1e-6a4a3c9f2b71")
_ATTEMPTS: Final = 4
_TIMEOUT_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Annotator:
    """A member of the desk: ``name`` is the ``annotator_id`` of their answers; ``token`` is theirs alone."""

    name: str
    token: str


@dataclass(frozen=True)
class GivenAnswer:
    """What one annotator says of one case; ``labels`` maps question to answer, None is a skip.

    A second label stands under its task's name followed by ``SECOND``, a note under ``NOTE``.
    """

    annotator: Annotator
    desk_task_id: str
    labels: Mapping[str, str] | None
    lead_seconds: float | None = None


def join(url: str, admin_token: str, name: str) -> Annotator:
    """Let ``name`` join through the invitation link, or sign in again; return who they are at the desk.

    The password follows from the name and the administrator's token, so that nothing has to be kept.

    Args:
        url: the server's address.
        admin_token: a token that may invite.
        name: letters, digits, dots and dashes; the account is called ``name@simulated.invalid``.

    Raises:
        DeskUnavailable: the server does not answer.
        DeskRefused: the token may not invite, or the account exists with another password.
    """
    sign_in = {
        "email": f"{name}{SIMULATED_DOMAIN}",
        "password": keyed_digest(admin_token.encode(), "annotator", name)[:32],
    }
    try:
        with _client(url) as visitor:
            _post_form(visitor, "/user/login/", sign_in, {})
            token = _own_token(visitor)
            if token is None:
                invited = visitor.get("/api/invite", headers=_as(admin_token))
                if invited.status_code != 200:
                    raise DeskRefused(
                        f"an invitation is needed from {url}, found {invited.status_code}: check the token"
                    )
                _post_form(visitor, "/user/signup/", sign_in, {"token": invited.json()["token"]})
                token = _own_token(visitor)
    except httpx.TransportError as error:
        raise DeskUnavailable(
            f"Label Studio is needed at {url}, but it does not answer: start it and run again"
        ) from error
    if token is None:
        raise DeskRefused(f"annotator {name} could not join {url}: the account may exist with another password")
    return Annotator(name, token)


def answer_cases(
    url: str,
    answers: Sequence[GivenAnswer],
    *,
    workers: int = 4,
    on_progress: Callable[[int], None] | None = None,
) -> int:
    """Give ``answers``, several at a time; return how many were new. An annotator never answers a task twice.

    Args:
        url: the server's address.
        answers: in the order in which to begin them; the answers to one task are given one after the other, because
            Label Studio miscounts those that it saves at the same instant.
        workers: how many tasks are answered at once (>= 1); the server's SQLite gains nothing beyond four.
        on_progress: told after each task how many answers are done.

    Raises:
        DeskUnavailable: the server does not answer; call again with the same answers.
        DeskRefused: a task or a token is unknown.
    """
    by_task: dict[str, list[GivenAnswer]] = {}
    for answer in answers:
        by_task.setdefault(answer.desk_task_id, []).append(answer)
    new = done = 0
    with _client(url) as client, ThreadPoolExecutor(workers) as pool:
        try:
            for given in pool.map(lambda ours: [_give(client, answer) for answer in ours], by_task.values()):
                done, new = done + len(given), new + sum(given)
                if on_progress:
                    on_progress(done)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return new


def answer_case(url: str, answer: GivenAnswer) -> bool:
    """Give one answer; whether it was new. See ``answer_cases``."""
    return answer_cases(url, [answer], workers=1) == 1


def _give(client: httpx.Client, answer: GivenAnswer) -> bool:
    """Post one answer under an id that follows from who answers what: the server refuses the same id twice."""
    body = {
        "unique_id": str(uuid.uuid5(_NAMESPACE, f"{answer.annotator.name}/{answer.desk_task_id}")),
        "result": write_result(answer.labels or {}),
        "was_cancelled": answer.labels is None,
        "lead_time": answer.lead_seconds,
    }
    path = f"/api/tasks/{answer.desk_task_id}/annotations/"
    for attempt in range(_ATTEMPTS):
        try:
            status = client.post(path, json=body, headers=_as(answer.annotator.token)).status_code
        except httpx.TransportError:
            status = 0
        if status == 201:
            return True
        if status == 409:
            return False
        if 400 <= status < 500:
            raise DeskRefused(f"task {answer.desk_task_id} could not be answered by {answer.annotator.name} ({status})")
        time.sleep(0.2 * 2**attempt)
    raise DeskUnavailable(f"Label Studio did not take an answer in {_ATTEMPTS} attempts: start it and run this again")


def _client(url: str) -> httpx.Client:
    beyond = urlsplit(url).hostname not in {"127.0.0.1", "localhost", "::1"}
    return httpx.Client(base_url=url, timeout=_TIMEOUT_SECONDS, trust_env=beyond)


def _as(token: str) -> dict[str, str]:
    return {"Authorization": f"Token {token}"}


def _post_form(visitor: httpx.Client, path: str, fields: Mapping[str, str], query: Mapping[str, str]) -> None:
    visitor.get(path, params=query)
    proof = visitor.cookies.get("csrftoken") or ""
    form = {**fields, "csrfmiddlewaretoken": proof}
    visitor.post(path, params=query, data=form, headers={"Referer": str(visitor.base_url)})


def _own_token(visitor: httpx.Client) -> str | None:
    """Return the token of whoever is signed in, None where nobody is."""
    answer = visitor.get("/api/current-user/token")
    return answer.json().get("token") if answer.status_code == 200 else None
