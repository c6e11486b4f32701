"""The real desk where things go wrong: no server, another one, a killed one, half-saved answers, others' tasks."""

import os
import random
import signal
import socket
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from labeling.desk.annotating import GivenAnswer, answer_case, answer_cases, join
from labeling.desk.desk import Case, SentCase
from labeling.desk.interface import render_guide, render_page
from labeling.desk.label_studio import LabelStudioDesk
from labeling.desk.label_studio_api import LabelStudioApi
from labeling.desk.label_studio_tasks import read_answers, write_task
from labeling.desk.page_result import write_result
from labeling.desk.server import RunningServer, start_server
from labeling.errors import DeskRefused, DeskUnavailable
from tests.contracts.desks import TAXONOMY, case
from tests.label_studio_fixture import PASSWORD, TOKEN

GOOD = {"intent": "card_blocked", "sentiment": "negative"}


@pytest.fixture
def title() -> str:
    return f"desk {uuid.uuid4().hex[:8]}"


def opened(server: RunningServer, title: str) -> LabelStudioDesk:
    desk = LabelStudioDesk(server.url, server.token, project_title=title)
    desk.open_project(TAXONOMY)
    return desk


def test_a_blind_task_holds_nothing_of_the_model():
    task = write_task(case(1, blind=True), TAXONOMY)
    assert "predictions" not in task
    assert task["data"]["suggestions"] == {}
    assert "card_lost" not in str(task)
    assert "0.71" not in str(task)


def test_a_suggestion_travels_under_one_name_whatever_the_champion():
    (prediction,) = write_task(case(1), TAXONOMY)["predictions"]
    assert prediction["model_version"] == "cxloop"
    assert prediction["score"] == 0.55
    assert [one["value"]["choices"] for one in prediction["result"]] == [["card_lost"], ["neutral"]]


def annotation(**changed: Any) -> dict[str, Any]:
    fields = {
        "id": 7,
        "result": [],
        "was_cancelled": False,
        "completed_by": 3,
        "created_at": "2026-01-02T03:04:05.000006Z",
        "updated_at": "2026-01-02T03:05:05.000006Z",
        "lead_time": None,
    }
    return fields | changed


def test_anything_can_stand_in_an_answer():
    results: list[Any] = [
        None,
        ["text", {"from_name": 3}, {"from_name": "intent", "type": "choices", "value": None}],
        [{"from_name": "intent", "type": "choices", "value": {"choices": ["card_lost", "card_new"]}}],
        [{"from_name": "sentiment", "type": "choices", "value": {"choices": ["neutral"]}}] * 2,
    ]
    task = {
        "data": {"case_id": "case-1", "interaction_id": "i-1"},
        "annotations": [annotation(id=number, result=result) for number, result in enumerate(results)],
    }
    answers = read_answers(task, TAXONOMY, {})
    assert [answer.labels for answer in answers] == [{}, {}, {}, {}]
    assert [answer.refused for answer in answers] == [
        {},
        {"intent": "not_one_label"},
        {"intent": "not_one_label"},
        {"sentiment": "not_one_label"},
    ]
    assert {answer.annotator_id for answer in answers} == {"unknown"}


def test_an_answer_id_is_not_used_again_by_a_new_database():
    data = {"case_id": "case-1", "interaction_id": "i-1"}
    old, new = (
        read_answers({"data": data, "annotations": [annotation(created_at=at)]}, TAXONOMY, {})[0]
        for at in ("2026-01-02T03:04:05.000006Z", "2026-02-02T03:04:05.000006Z")
    )
    assert old.answer_id != new.answer_id


def test_tasks_that_others_put_into_the_project_are_left_alone():
    for data in ({}, {"case_id": 3, "interaction_id": "i"}, {"case_id": "case-1"}, {"text": "mine"}):
        assert read_answers({"data": data, "annotations": [annotation()]}, TAXONOMY, {}) == []


def test_a_server_that_is_down_can_be_tried_again():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    began = time.monotonic()
    with pytest.raises(DeskUnavailable, match="does not answer"):
        LabelStudioDesk(url, TOKEN, project_title="x").open_project(TAXONOMY)
    with pytest.raises(DeskUnavailable, match="does not answer"):
        join(url, TOKEN, "ann-1")
    assert time.monotonic() - began < 10


class _OtherPage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(int(self.path.strip("/").split("/")[0]))
        self.end_headers()
        self.wfile.write(b"<html>secret text of a customer</html>")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        pass


@pytest.fixture
def other_page() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _OtherPage)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("status", "expected"), [(200, DeskRefused), (400, DeskRefused), (503, DeskUnavailable)])
def test_a_page_that_is_no_label_studio_is_told_without_its_text(other_page: str, status: int, expected: type):
    desk = LabelStudioDesk(f"{other_page}/{status}", TOKEN, project_title="x")
    with pytest.raises(expected, match=f"{status}") as told:
        desk.open_project(TAXONOMY)
    shown = "".join(str(error) for error in (told.value, told.value.__cause__) if error)
    assert "secret" not in shown


@pytest.mark.label_studio
def test_a_wrong_token_is_refused(label_studio: RunningServer, title: str):
    with pytest.raises(DeskRefused, match="CXLOOP_LABEL_STUDIO_TOKEN"):
        LabelStudioDesk(label_studio.url, "f" * 40, project_title=title).open_project(TAXONOMY)
    with pytest.raises(DeskRefused, match="check the token"):
        join(label_studio.url, "f" * 40, f"nobody-{uuid.uuid4().hex[:6]}")


@pytest.mark.label_studio
def test_a_project_of_the_same_title_that_is_not_ours_is_not_touched(label_studio: RunningServer, title: str):
    api = LabelStudioApi(label_studio.url, label_studio.token)
    theirs = api.create_project({"title": title, "label_config": "<View></View>"})
    with pytest.raises(DeskRefused, match="cxloop did not make"):
        opened(label_studio, title)
    assert api.read_project(theirs)["label_config"] == "<View></View>"
    assert len(api.find_projects(title)) == 1


@pytest.mark.label_studio
def test_page_and_guide_are_stored_as_rendered_so_that_opening_again_changes_nothing(
    label_studio: RunningServer, title: str
):
    number = int(opened(label_studio, title).open_project(TAXONOMY))
    stored = LabelStudioApi(label_studio.url, label_studio.token).read_project(number)
    assert (stored["label_config"], stored["expert_instruction"]) == (render_page(TAXONOMY), render_guide(TAXONOMY))


@pytest.mark.label_studio
def test_settings_that_someone_changed_are_put_back(label_studio: RunningServer, title: str):
    desk = opened(label_studio, title)
    project = int(desk.open_project(TAXONOMY))
    api = LabelStudioApi(label_studio.url, label_studio.token)
    for _ in ("without a case", "with one"):
        api.update_project(project, {"show_collab_predictions": False, "maximum_annotations": 3})  # empties the model
        opened(label_studio, title).send([case(1)])
        found = api.read_project(project)
        assert (found["model_version"], found["show_collab_predictions"]) == ("cxloop", True)
        assert found["maximum_annotations"] == 1


@pytest.mark.label_studio
def test_more_cases_than_a_page_holds(label_studio: RunningServer, title: str):
    desk = opened(label_studio, title)
    began = time.monotonic()
    sent = desk.send([case(number) for number in range(450)])
    assert time.monotonic() - began < 30
    assert len({one.desk_task_id for one in sent}) == 450
    tasks = LabelStudioApi(label_studio.url, label_studio.token).list_tasks(int(sent[0].project_id), columns="id,data")
    assert [task["data"]["case_id"] for task in tasks] == [f"case-{number:05d}" for number in range(450)]


@pytest.mark.label_studio
def test_annotators_answer_in_parallel_each_as_themselves(label_studio: RunningServer, title: str):
    desk = opened(label_studio, title)
    people = [join(label_studio.url, label_studio.token, f"ann-{number}") for number in range(3)]
    assert join(label_studio.url, label_studio.token, "ann-0") == people[0]
    sent = desk.send([case(number, overlap=3) for number in range(8)])
    given = [GivenAnswer(person, one.desk_task_id, GOOD, 1.0) for one in sent for person in people]
    done: list[int] = []
    began = time.monotonic()
    assert answer_cases(label_studio.url, given, workers=4, on_progress=done.append) == 24
    seconds = time.monotonic() - began
    assert done == list(range(3, 25, 3))
    assert answer_cases(label_studio.url, given[:6], workers=4) == 0
    answers = desk.fetch(None)
    assert {(answer.case_id, answer.annotator_id) for answer in answers} == {
        (one.case_id, person.name) for one in sent for person in people
    }
    assert len(answers) == 24
    assert desk.count_waiting() == 0
    assert seconds < 24, "below one answer a second something is badly wrong, however busy the machine"
    with pytest.raises(DeskRefused, match="could not be answered"):
        answer_case(label_studio.url, GivenAnswer(people[0], "999999", GOOD))


@pytest.mark.label_studio
@pytest.mark.parametrize("kind", ["legacy", "personal"])
def test_both_kinds_of_token_do_all_the_work(label_studio: RunningServer, title: str, kind: str):
    token = label_studio.token if kind == "legacy" else personal_token(label_studio)
    desk = LabelStudioDesk(label_studio.url, token, project_title=title)
    desk.open_project(TAXONOMY)
    (sent,) = desk.send([case(1, overlap=2)])
    answer_case(
        label_studio.url, GivenAnswer(join(label_studio.url, label_studio.token, "ann-1"), sent.desk_task_id, GOOD)
    )
    assert [answer.labels for answer in desk.fetch(None)] == [GOOD]
    assert desk.count_waiting() == 1
    assert desk.remove([sent.case_id]) == 1
    invitation = LabelStudioApi(label_studio.url, token).read_invitation()
    assert invitation.startswith(f"{label_studio.url}/user/signup/?token=")
    assert httpx.get(invitation, trust_env=False).status_code == 200


def personal_token(server: RunningServer) -> str:
    """A new token of a new member: a person has one at a time."""
    member = join(server.url, server.token, f"member-{uuid.uuid4().hex[:6]}")
    made = httpx.post(f"{server.url}/api/token/", headers={"Authorization": f"Token {member.token}"}, trust_env=False)
    return made.raise_for_status().json()["token"]


@pytest.mark.label_studio
def test_of_a_case_that_came_twice_the_answered_copy_stays(label_studio: RunningServer, title: str):
    desk = opened(label_studio, title)
    first, second = desk.send([case(1), case(2)])
    api = LabelStudioApi(label_studio.url, label_studio.token)
    project = int(first.project_id)
    late = api.import_tasks(project, [write_task(case(number), TAXONOMY) for number in (1, 2)])
    answer_case(label_studio.url, GivenAnswer(join(label_studio.url, label_studio.token, "ann-1"), str(late[0]), GOOD))
    assert desk.count_cases() == 4
    assert desk.send([case(1), case(2)]) == [SentCase("case-00001", first.project_id, str(late[0])), second]
    assert desk.list_cases() == {"case-00001": str(late[0]), "case-00002": second.desk_task_id}
    assert {task["id"] for task in api.list_tasks(project, columns="id")} == {late[0], int(second.desk_task_id)}
    assert [answer.case_id for answer in desk.fetch(None)] == ["case-00001"]
    assert desk.count_waiting() == 1


@pytest.mark.label_studio
def test_a_draft_is_no_answer(label_studio: RunningServer, title: str):
    desk = opened(label_studio, title)
    (sent,) = desk.send([case(1)])
    since = datetime.now(UTC) - timedelta(seconds=1)
    person = join(label_studio.url, label_studio.token, "ann-1")
    saved = httpx.post(
        f"{label_studio.url}/api/tasks/{sent.desk_task_id}/drafts",
        json={"result": write_result(GOOD), "lead_time": 1.0},
        headers={"Authorization": f"Token {person.token}"},
        trust_env=False,
    )
    assert saved.status_code == 201
    assert (desk.fetch(None), desk.fetch(since), desk.list_answers(since)) == ([], [], {})
    assert desk.count_waiting() == 1


@pytest.fixture
def own_server(fresh_label_studio: Callable[[Path], Path], tmp_path: Path) -> Iterator[RunningServer]:
    """A server that a test may kill."""
    with start_server(fresh_label_studio(tmp_path / "data"), token=TOKEN, password=PASSWORD) as server:
        yield server


@pytest.mark.label_studio
def test_a_server_killed_while_cases_arrive_and_before_answers_are_read(
    own_server: RunningServer, tmp_path: Path, title: str
):
    cases = [case(number, overlap=2 if number % 20 == 1 else 1) for number in range(200)]
    desk = opened(own_server, title)
    annotator = join(own_server.url, TOKEN, "ann-1")
    (sent,) = desk.send(cases[:1])
    answer_case(own_server.url, GivenAnswer(annotator, sent.desk_task_id, GOOD))

    delay = random.uniform(0.05, 0.8)  # noqa: S311 - any instant will do
    threading.Timer(delay, os.kill, (own_server.pid, signal.SIGKILL)).start()
    with pytest.raises(DeskUnavailable):
        _send_for_ever(desk, cases)
    with pytest.raises(DeskUnavailable):
        desk.fetch(None)
    own_server.stop()

    with start_server(tmp_path / "data", token=TOKEN, password=PASSWORD) as again:
        desk = opened(again, title)
        found = desk.send(cases)
        tasks = LabelStudioApi(again.url, TOKEN).list_tasks(int(found[0].project_id), columns="id,data,overlap")
        stands = [(task["data"]["case_id"], task["overlap"]) for task in tasks]
        assert sorted(stands) == sorted((one.case_id, one.overlap) for one in cases)
        assert [answer.labels for answer in desk.fetch(None)] == [GOOD]
        assert desk.count_waiting() == 199
        _tear_answers(again, desk, found[2:8:2], tmp_path)
        assert desk.count_waiting() == 196


def _send_for_ever(desk: LabelStudioDesk, cases: Sequence[Case]) -> None:
    while True:
        desk.send(cases)


def _tear_answers(server: RunningServer, desk: LabelStudioDesk, sent: Sequence[SentCase], tmp_path: Path) -> None:
    """Answers whose saving stopped halfway, as a kill at that instant leaves them, are read all the same."""
    since = datetime.now(UTC) - timedelta(seconds=1)
    annotator = join(server.url, TOKEN, "ann-1")
    for one in sent:
        answer_case(server.url, GivenAnswer(annotator, one.desk_task_id, GOOD))
    long_ago = "2020-01-01 00:00:00"
    first, second, third = (one.desk_task_id for one in sent)
    with closing(sqlite3.connect(tmp_path / "data" / "label_studio.sqlite3", timeout=20)) as database, database:
        database.execute(
            "UPDATE task SET updated_at = ?, total_annotations = 0, is_labeled = 0 WHERE id = ?", (long_ago, first)
        )
        database.execute("UPDATE task SET updated_at = ? WHERE id IN (?, ?)", (long_ago, second, third))
    assert [answer.case_id for answer in desk.fetch(since)] == [one.case_id for one in sent]
