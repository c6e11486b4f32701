"""``cxloop train``: one task's model is trained here, and what was learnt already is found."""

from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from assets.resources import Loop
from labeling import tables as t
from labeling.errors import ConfigError
from labeling.home import Home
from pipelines.cli import app
from pipelines.replay.stage import make_stage
from tests.training.parts import MESSAGES

NOW = datetime(2026, 3, 9, tzinfo=UTC)
runner = CliRunner()


@pytest.fixture
def home(tmp_path, give_mlflow):
    home = Home(tmp_path / "home")
    give_mlflow(home)
    make_stage(home, seed=1, changes={})
    return home


def settle(home, labels):
    rows = [
        {"interaction_id": text, "text": text, "conversation_id": text, "lot": "open", "label": label, "task": "intent"}
        for label, texts in labels.items()
        for text in texts
    ]
    common = {"occurred_at": NOW, "settled_at": NOW, "turn": 1, "source": "review", "confidence": 1.0}
    for table in (t.INTERACTIONS, t.LABELS):
        known = [{name: value for name, value in (row | common).items() if name in table.schema} for row in rows]
        home.tables.merge(table, table.frame(known))


def train(home, *options):
    return runner.invoke(app, ["train", "intent", "--recipe", "smoke", *options, "--home", str(home.path)])


def test_a_version_is_trained_once_and_found_again(home):
    names = ("bill_higher", "refund_status")
    settle(home, dict(zip(names, list(MESSAGES.values())[:2], strict=True)))
    first = train(home)
    assert first.exit_code == 0, first.output
    assert "cxloop-intent version 1, from scratch" in first.output
    assert "Next: `cxloop run retrain` builds a release with it" in first.output
    assert "cxloop-intent version 1 is there already" in train(home).output
    foretold = train(home, "--dry-run").output
    assert "intent: 20 labels, 20 of them not learnt before" in foretold
    assert "too little to say: 0 labels" in foretold
    assert "as fast as earlier ones" in foretold
    Loop(home=str(home.path)).open_registry().set_alias("cxloop-intent", "champion", "1")
    assert "intent: 20 labels, all of them learnt by the champion, version 1" in train(home, "--dry-run").output
    assert "cxloop-intent version 2, from scratch" in train(home, "--from-scratch").output


def test_with_nothing_to_learn_it_says_what_it_waits_for(home):
    shown = train(home)
    assert shown.exit_code == 0, shown.output
    assert "it waits for settled labels of two classes of intent" in shown.output


@pytest.mark.parametrize(
    ("options", "needed"),
    [
        (["mood"], "(intent, sentiment), found 'mood'"),
        (["intent", "--recipe", "none"], "recipes/none.yaml is needed"),
    ],
)
def test_what_there_is_not_is_told_beside_what_there_is(home, options, needed):
    refused = runner.invoke(app, ["train", *options, "--home", str(home.path)])
    assert isinstance(refused.exception, ConfigError)
    assert needed in str(refused.exception)
