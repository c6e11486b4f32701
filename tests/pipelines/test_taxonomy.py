"""``cxloop taxonomy``: candidates are shown, accepted and dismissed."""

from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from assets.settings import load_settings
from labeling import tables as t
from labeling.config import load_config
from labeling.home import Home
from labeling.taxonomy import Taxonomy
from pipelines.cli import app
from pipelines.new_home import make_home

runner = CliRunner()


@pytest.fixture
def home(tmp_path):
    """A home with two candidates, of two messages each."""
    home = Home(tmp_path / "home")
    make_home(home, profile="local", check=load_settings)
    at = datetime.now(UTC)
    messages, members = [], []
    for candidate, word in (("c-1", "pizza"), ("c-2", "chess")):
        for place in (1, 2):
            name = f"{candidate}-{place}"
            messages.append({"interaction_id": name, "occurred_at": at, "text": f"{word} {word} [b]number {place}"})
            about = {"candidate_id": candidate, "interaction_id": name, "place": place, "state": "open"}
            members.append(about | {"found_at": at, "changed_at": at})
    home.tables.merge(t.INTERACTIONS, t.INTERACTIONS.frame(messages))
    home.tables.merge(t.CANDIDATE_INTENTS, t.CANDIDATE_INTENTS.frame(members))
    return home


def invoke(home, *arguments):
    return runner.invoke(app, ["taxonomy", *arguments, "--home", str(home.path)], env={"COLUMNS": "200"})


def test_a_candidate_becomes_an_intent_and_another_is_dismissed(home):
    shown = invoke(home, "candidates")
    assert shown.exit_code == 0, shown.output
    assert "c-1" in shown.output
    assert "pizza" in shown.output
    assert "[b]number 1" in shown.output
    said = ("--name", "pizza", "--title", "Pizza", "--reviewer", "ada", "--example", "I am hungry.")
    accepted = invoke(home, "accept", "c-1", *said)
    assert accepted.exit_code == 0, accepted.output
    label = load_config(home.configs / "taxonomy.yaml", Taxonomy).tasks[0].labels[-1]
    assert (label.name, label.examples) == ("pizza", ("I am hungry.",))
    assert home.tables.read(t.REVIEWS)["annotator_id"].to_list() == ["ada", "ada"]
    assert invoke(home, "dismiss", "c-2", "--reviewer", "ada").exit_code == 0
    assert "Nothing waits" in invoke(home, "candidates").output
    refused = invoke(home, "dismiss", "c-2", "--reviewer", "ada")
    assert "those that wait are: none" in str(refused.exception)
