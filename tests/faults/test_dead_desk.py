"""Label Studio killed between send and fetch, or its project deleted: the loop says so, goes on, and loses nothing."""

import os
import signal
from datetime import UTC, datetime, timedelta

import httpx
import polars as pl
import psutil
import pytest

from labeling import tables as t
from labeling.desk.annotating import GivenAnswer, answer_cases, join
from labeling.desk.server import find_server, start_server
from labeling.errors import DeskUnavailable
from labeling.home import Home
from pipelines.replay.driver import drop_events
from pipelines.replay.feed import FeedRates, play_feed
from pipelines.replay.stage import make_stage
from pipelines.running import Runner, open_instance
from tests.e2e.playing import Play
from tests.label_studio_fixture import PASSWORD, TOKEN

pytestmark = pytest.mark.label_studio

NOW = datetime(2026, 3, 9, 9, tzinfo=UTC)
ANSWER = {"intent": "lost_phone", "sentiment": "negative"}


@pytest.fixture
def home(fresh_label_studio, give_mlflow, tmp_path):
    """A home with a few messages, and a migrated Label Studio that is not started yet."""
    home = Home(tmp_path / "home")
    give_mlflow(home)
    make_stage(home, seed=5, changes={"selection.yaml": {"budget": 6, "overlap_share": 0.0}})
    with (home.path / "secrets.env").open("a") as secrets:
        secrets.write(f"CXLOOP_LABEL_STUDIO_TOKEN={TOKEN}\nCXLOOP_LABEL_STUDIO_PASSWORD={PASSWORD}\n")
    fresh_label_studio(home.label_studio)
    feed = play_feed(5, NOW - timedelta(days=14), rates=FeedRates(weeks=1, history=30, weekly=1))
    drop_events(home, "interactions", "history", (message.event for message in feed.history.messages))
    return home


@pytest.fixture
def runner(home):
    with open_instance(home) as instance:
        yield Runner(home, instance)


def start(home):
    return start_server(home.label_studio, token=TOKEN, password=PASSWORD)


def kill(server, wait_until):
    os.kill(server.pid, signal.SIGKILL)
    wait_until(lambda: not psutil.pid_exists(server.pid))


def answer(server, sent):
    person = join(server.url, server.token, "anna")
    return answer_cases(server.url, [GivenAnswer(person, case, ANSWER) for case in sent["desk_task_id"]])


def reviewed(home):
    return home.tables.read(t.REVIEWS).filter(pl.col("task") == "intent")["interaction_id"].sort().to_list()


def test_a_desk_killed_between_send_and_fetch_gives_its_answers_once_when_it_is_back(home, runner, wait_until):
    runner.run("collect_job", now=NOW)
    with start(home) as server:
        runner.run("review_job", now=NOW)
        sent = home.tables.read(t.REVIEW_TASKS)
        assert answer(server, sent) == sent.height > 6
        kill(server, wait_until)

        assert find_server(home.label_studio) is None
        with pytest.raises(DeskUnavailable, match="start it"):
            runner.run("review_job", now=NOW)
        assert reviewed(home) == []
    with start(home):
        for _ in range(2):
            runner.run("review_job", now=NOW)
            assert reviewed(home) == sent["interaction_id"].sort().to_list()
        assert home.tables.read(t.REVIEW_TASKS).sort("case_id").equals(sent.sort("case_id"))


def test_cases_of_a_deleted_project_go_again_but_those_that_were_read(home, runner):
    runner.run("collect_job", now=NOW)
    with start(home) as server:
        runner.run("review_job", now=NOW)
        sent = home.tables.read(t.REVIEW_TASKS).sort("case_id")
        read, unread = sent.head(3), sent.tail(-3)
        assert answer(server, read) == 3
        runner.run("review_job", now=NOW)
        [project] = sent["project_id"].unique()
        gone = httpx.delete(
            f"{server.url}/api/projects/{project}/", headers={"Authorization": f"Token {TOKEN}"}, trust_env=False
        )
        assert gone.status_code == 204

        runner.run("review_job", now=NOW + timedelta(minutes=1))

        again = home.tables.read(t.REVIEW_TASKS).sort("case_id")
        assert again["case_id"].to_list() == sent["case_id"].to_list()
        moved = again.filter(pl.col("project_id") != project)
        assert moved["case_id"].to_list() == unread["case_id"].to_list()
        assert answer(server, moved) == unread.height
        runner.run("review_job", now=NOW + timedelta(minutes=2))
        assert reviewed(home) == sent["interaction_id"].sort().to_list()


def test_control_c_while_label_studio_starts_does_not_wait_for_it(label_studio_program, tmp_path):
    home = tmp_path / "home"
    with Play(home, desk="label_studio") as running:
        running.wait_until((home / "label-studio" / "server.log").exists)
        ended = running.stop(signal.SIGINT, seconds=20)
    assert ended.code == 130, ended.said
    assert "the same command goes on" in ended.said
    assert not (home / "label-studio" / "server.json").exists()
    assert not [each for each in psutil.process_iter(["cmdline"]) if str(home) in " ".join(each.info["cmdline"] or [])]
