"""``cxloop init`` takes the answers of a real Label Studio project over."""

import json
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from assets.settings import load_settings
from labeling.desk.label_studio_api import LabelStudioApi
from labeling.desk.server import RunningServer
from labeling.errors import DeskRefused
from pipelines.cli import app

PAGE = (
    '<View><Text name="message" value="$body"/><Choices name="intent" toName="message">'
    '<Choice value="Card lost"/><Choice value="Refund"/></Choices></View>'
)
ANSWERS = {"my card is gone": "Card lost", "money back please": "Refund", "<b>gone</b> & lost": "Card lost"}

pytestmark = pytest.mark.label_studio


def answer(server: RunningServer, task: int, label: str) -> None:
    choice = {"from_name": "intent", "to_name": "message", "type": "choices", "value": {"choices": [label]}}
    address = f"{server.url}/api/tasks/{task}/annotations/"
    answered = httpx.post(address, json={"result": [choice]}, headers={"Authorization": f"Token {server.token}"})
    assert answered.status_code == 201


@pytest.fixture
def project(label_studio: RunningServer) -> int:
    """A project with three answered texts and one that waits."""
    api = LabelStudioApi(label_studio.url, label_studio.token)
    made = api.create_project({"title": "from before", "label_config": PAGE})
    tasks = api.import_tasks(made, [{"data": {"body": text}} for text in [*ANSWERS, "nobody read this"]])
    for task, label in zip(tasks, ANSWERS.values(), strict=False):
        answer(label_studio, task, label)
    return made


def test_answers_become_the_taxonomy_and_reviews(
    label_studio: RunningServer, project: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXLOOP_LABEL_STUDIO_TOKEN", label_studio.token)
    home = tmp_path / "home"
    options = ["--label-studio", label_studio.url, "--project", str(project)]
    made = CliRunner().invoke(app, ["init", "--home", str(home), *options])
    assert made.exit_code == 0, made.output

    settings = load_settings(home / "configs")
    assert settings.taxonomy.task("intent").label_names == ("card_lost", "refund")
    assert settings.services.label_studio.url == label_studio.url
    texts = [json.loads(line) for line in (home / "inbox" / "interactions" / "label_studio.jsonl").open()]
    assert [event["text"] for event in texts] == list(ANSWERS)
    reviews = [json.loads(line) for line in (home / "inbox" / "reviews" / "label_studio.jsonl").open()]
    assert [event["label"] for event in reviews] == ["card_lost", "refund", "card_lost"]
    assert len({event["annotator_id"] for event in reviews}) == 1


def test_a_project_that_is_not_there_leaves_no_home(
    label_studio: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXLOOP_LABEL_STUDIO_TOKEN", label_studio.token)
    options = ["--label-studio", label_studio.url, "--project", "424242"]
    refused = CliRunner().invoke(app, ["init", "--home", str(tmp_path / "home"), *options])
    assert isinstance(refused.exception, DeskRefused)
    assert "project 424242 is needed" in str(refused.exception)
    assert not (tmp_path / "home").exists()
