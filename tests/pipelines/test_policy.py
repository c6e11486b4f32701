"""``cxloop policy``: what handoff.yaml comes to, why a message goes to a person, what would have changed."""

import pytest
import yaml
from typer.testing import CliRunner

from labeling.errors import DecisionRefused
from pipelines.cli import app
from serving.release import Release
from tests.assets.conftest import NOW, StockedHome
from tests.assets.judging_stage import OTHER, TEXTS, JudgedHome, build_pair, said_by

runner = CliRunner()


@pytest.fixture(scope="module")
def home(tmp_path_factory, give_mlflow):
    """A home, a release that was right in 36 calibrate cases, and how many of all its 42 messages it keeps."""
    releases = build_pair(tmp_path_factory.mktemp("pair"))
    home = JudgedHome(StockedHome(tmp_path_factory.mktemp("policy") / "home", give_mlflow))
    said = said_by(releases[0], TEXTS)
    home.put_test([said[row % len(TEXTS)] for row in range(36)], part="calibrate", prefix="calibrate", occurred_at=NOW)
    recent = [*TEXTS[:5], "let me talk to a person"]
    home.put_open(recent, occurred_at=NOW)
    handed = Release.load(releases[0]).answer([*(TEXTS[row % len(TEXTS)] for row in range(36)), *recent])["handoff"]
    return home, home.register(releases[0]).version, handed.to_list().count(False)


def run(home, *command):
    done = runner.invoke(app, ["policy", *command, "--home", str(home.stocked.home.path)], catch_exceptions=True)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return " ".join(done.output.split())


def test_without_a_champion_a_release_must_be_named(home):
    with pytest.raises(DecisionRefused, match="name a release with --version"):
        run(home[0], "explain", "hi")


def test_fit_tells_the_threshold_and_writes_the_page(home):
    told = run(home[0], "fit", "--version", home[1])
    assert "Shown on 36 calibrate cases: 36 kept, 0 of these wrong" in told
    assert "It steps aside where an answer (topic) is wrong" in told
    page = home[0].stocked.home.reports / "handoff.html"
    assert "Risk and coverage" in page.read_text(encoding="utf-8")


def test_explain_names_the_signals_and_never_the_customer_s_words(home):
    told = run(home[0], "explain", TEXTS[0], "let me speak to a human xyzzy", "--version", home[1])
    assert "hands off" in told
    assert "wish_for_person: The customer asks for a person." in told
    assert "low confidence" in told
    assert "xyzzy" not in told


def test_replay_counts_what_another_policy_would_have_changed(home):
    told = run(home[0], "replay", "--days", "9000", "--version", home[1])
    assert "over the 42 messages of the last 9000 days" in told
    assert "too few estimate cases" in told
    strict = home[0].stocked.home.configs / "handoff.yaml"
    was = strict.read_text()
    strict.write_text(yaml.safe_dump(yaml.safe_load(was) | {"high_risk_labels": list(OTHER)}))
    try:
        assert f" {home[2]} handoffs more (" in run(home[0], "replay", "--days", "9000", "--version", home[1])
    finally:
        strict.write_text(was)
