"""``cxloop review``: cases out, answers back, and where that stands."""

from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from labeling import tables as t
from labeling.desk.annotating import GivenAnswer, answer_cases, join
from labeling.desk.server import start_server
from labeling.home import Home
from pipelines.cli import app
from pipelines.replay.stage import make_stage
from tests.label_studio_fixture import PASSWORD, TOKEN

runner = CliRunner()


@pytest.fixture
def home(tmp_path, give_mlflow):
    home = Home(tmp_path / "home")
    give_mlflow(home)
    make_stage(home, seed=5, changes={})
    with (home.path / "secrets.env").open("a") as secrets:
        secrets.write(f"CXLOOP_LABEL_STUDIO_TOKEN={TOKEN}\nCXLOOP_LABEL_STUDIO_PASSWORD={PASSWORD}\n")
    return home


def review(home, *words):
    done = runner.invoke(app, ["review", *words, "--home", str(home.path)])
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


def put(home, table, *rows):
    plain = {name: datetime.now(UTC) for name, kind in table.schema.items() if kind == t.TIME}
    home.tables.merge(table, table.frame([plain | row for row in rows]))


def queue(home, *names):
    """Queue audit cases, which are sent whatever the selection makes of the pool."""
    messages = [{"interaction_id": name, "conversation_id": f"of-{name}", "text": "hello", "turn": 1} for name in names]
    put(home, t.INTERACTIONS, *(message | {"lot": "audit"} for message in messages))
    rows = [{"case_id": name, "interaction_id": name, "reason": "audit", "blind": True} for name in names]
    put(home, t.REVIEW_QUEUE, *(row | {"overlap": 1} for row in rows))


def test_each_half_of_the_job_says_what_it_does_before_it_is_done():
    for words, taught in (
        ([], "cxloop run review"),
        (["send"], "asked of a third"),
        (["fetch"], "refused and counted"),
    ):
        shown = runner.invoke(app, ["review", *words, "--help"])
        assert taught in " ".join(shown.output.replace("│", "").split())


def test_where_an_empty_loop_stands(home):
    told = review(home, "status")
    assert "No case waits for an answer." in told
    assert "none is served" in told
    assert "Next: `cxloop up`" in told


def test_status_tells_what_waits_and_who_answers(home):
    queue(home, "a", "b", "c")
    sent_at = datetime.now(UTC) - timedelta(hours=30)
    put(home, t.REVIEW_TASKS, *({"case_id": name, "overlap": 1, "sent_at": sent_at, "state": "sent"} for name in "ab"))
    answer = {"review_id": "r", "case_id": "a", "interaction_id": "a", "task": "intent", "label": "x"}
    put(home, t.REVIEWS, answer | {"annotator_id": "anna"})
    told = review(home, "status")
    assert "1 cases wait for an answer" in told
    assert "sent 30.0 h ago" in told
    assert "1 cases that are not at the desk yet" in told
    assert "anna 1 of 60" in told


@pytest.mark.label_studio
def test_cases_go_out_and_answers_come_back(home, fresh_label_studio):
    fresh_label_studio(home.label_studio)
    queue(home, "a", "b")
    with start_server(home.label_studio, token=TOKEN, password=PASSWORD) as server:
        assert "2 cases were sent" in review(home, "send")
        places = home.tables.read(t.REVIEW_TASKS).sort("case_id")["desk_task_id"]
        given = {"intent": "lost_phone", "sentiment": "negative", "handoff": "needed"}
        answer_cases(server.url, [GivenAnswer(join(server.url, server.token, "anna"), places[0], given)])
        told = review(home, "fetch")
        assert "3 new rows of answers" in told
        assert "Next: `cxloop review send`" in told
        project = home.tables.read(t.REVIEW_TASKS)["project_id"][0]
        told = review(home, "status")
        assert f"{server.url}/projects/{project}/data?labeling=1" in told
        assert f"{server.url}/user/signup/?token=" in told
        assert "audit 1" in told
