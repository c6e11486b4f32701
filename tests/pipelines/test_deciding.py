"""Deciding by command: what waits, what speaks for it, and decisions under a person's own token."""

import shutil
from dataclasses import asdict

import pytest
from typer.testing import CliRunner

from assets.settings import load_settings
from labeling.errors import CaseFileError, DecisionRefused, NotAllowed, RegistryError, ServiceError
from labeling.home import Home
from pipelines.cli import app
from pipelines.new_home import make_home
from pipelines.people_file import add_person
from tests.mlflow_fixture import locked
from tests.training.judging.sample_case import build_sample_case
from tests.training.registry.stage import NOW, Stage, add_release, files_of, write_model
from training.registry.judged import Judgement
from training.registry.ledger import Ledger
from training.registry.mlflow_registry import MlflowRegistry
from training.registry.people import TOKEN
from training.registry.registry import RELEASE
from training.registry.standing import DECISION, JUDGED

runner = CliRunner()


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    make_home(home, profile="local", check=load_settings)
    return home


@pytest.fixture
def stage(home, migrated_mlflow):
    """The home's own ledger and registry, with the champion 1 and the challenger 2."""
    (home.path / "mlflow").mkdir()
    shutil.copy(migrated_mlflow, home.path / "mlflow" / "mlflow.db")
    stage = Stage(Ledger(home.ledger_path), MlflowRegistry(home.mlflow_uri, home.mlflow_artifacts), home.case_files)
    known = load_settings(home.configs).taxonomy.task("intent").label_names
    write_model(files_of(stage.registry, "cxloop-intent"), labels=known[:2])
    stage.taxonomy = load_settings(home.configs).taxonomy
    add_release(stage.registry)
    add_release(stage.registry)
    stage.promote("1")
    stage.name("2", authors=("ben",))
    return stage


def give(home, *command, token=""):
    """Give a command as the owner of ``token``; return what it printed."""
    done = runner.invoke(app, [*command, "--home", str(home.path)], env={TOKEN: token, "COLUMNS": "200"})
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def test_a_decision_needs_a_token_and_stands_in_the_history(home, stage):
    assert "`cxloop reviewers add NAME` lets somebody decide" in give(home, "challengers")
    added = give(home, "reviewers", "add", "ada")
    ada = next(line for line in added.splitlines() if line.startswith("cxl_ada_"))
    (ben, _), (cleo, _) = add_person(home, "ben"), add_person(home, "cleo")
    path = home.configs / "reviewers.yaml"
    path.write_text(path.read_text().replace("required_approvals: 1", "required_approvals: 2"))
    assert "waits for a decision" in give(home, "challengers")

    for command in (("promote", "2"), ("reject", "2"), ("more-evidence", "2"), ("rollback",)):
        with pytest.raises(NotAllowed, match="found none: put yours into CXLOOP_REVIEWER_TOKEN"):
            give(home, *command, "--note", "why")
        with pytest.raises(NotAllowed, match="one that is nobody"):
            give(home, *command, "--note", "why", token=ada + "0")
    with pytest.raises(NotAllowed, match="ben did"):
        give(home, "promote", "2", "--note", "mine", token=ben)
    with pytest.raises(NotAllowed, match="--reviewer needs the name of whose token"):
        give(home, "promote", "2", "--note", "as ben", "--reviewer", "ben", token=ada)
    with pytest.raises(DecisionRefused, match="judged again since you looked"):
        give(home, "promote", "2", "--note", "stale", "--case-file", "0" * 12, token=ada)
    assert stage.registry.aliases(RELEASE) == {"champion": "1", "challenger": "2"}

    assert "More evidence is asked for" in give(home, "more-evidence", "2", "--note", "\x1b[31mrefunds?", token=ben)
    assert "ben asked for more evidence" in give(home, "challengers")
    digest = stage.ledger.entries(JUDGED)[-1].body["case_file"]
    said = give(home, "promote", "2", "--note", "better", "--reviewer", "ada", "--case-file", digest[:12], token=ada)
    assert "Release 2 is approved by ada" in said
    assert "1 more must approve" in said
    assert "approved by ada, 2 needed" in give(home, "challengers")
    assert "Release 2 is the champion" in give(home, "promote", "2", "--note", "and I", token=cleo)
    assert "No release waits" in give(home, "challengers")
    assert "Release 1 is the champion again in place of 2" in give(home, "rollback", "--note", "worse", token=ada)
    assert stage.registry.aliases(RELEASE) == {"champion": "1"}

    told = give(home, "history")
    assert [line.split()[3:6] for line in told.splitlines() if "2026" in line][1:] == [
        *(["ben", "more", "evidence"], ["ada", "approve", "2"], ["cleo", "approve", "2"], ["ada", "rollback", "2"])
    ]
    assert "\x1b[31m" not in told
    assert "\\x1b[31mrefunds?" in told


def test_a_rollback_while_mlflow_is_locked_is_told_and_happens_once(home, stage, impatient_mlflow, capfd):
    stage.promote("2")
    stage.promote(add_release(stage.registry))
    ada, _ = add_person(home, "ada")
    again = ("rollback", "--note", "worse")
    before = stage.ledger.entries()
    with locked(stage.registry, "EXCLUSIVE"), pytest.raises(RegistryError, match=r"^the .*database is locked"):
        give(home, *again, token=ada)
    assert stage.ledger.entries() == before
    with locked(stage.registry, "IMMEDIATE"), pytest.raises(RegistryError, match=r"recorded, .*database is locked"):
        give(home, *again, token=ada)
    assert stage.registry.aliases(RELEASE) == {"champion": "3"}
    assert "Release 2 is the champion again in place of 3" in give(home, *again, token=ada)
    assert stage.registry.aliases(RELEASE) == {"champion": "2"}
    assert [entry.body["decision"] for entry in stage.ledger.entries(DECISION)[-2:]] == ["approve", "rollback"]
    assert "Release 1 is the champion again in place of 2" in give(home, *again, token=ada)
    assert "UPDATE" not in "".join(capfd.readouterr())


def test_what_speaks_for_a_release_comes_from_its_case_file(home):
    case = build_sample_case(home.case_files, cases=200, with_plots=False)
    judged = Judgement("12", case.digest, "inconclusive", None, "improve", "test", 1, 0.01)
    Ledger(home.ledger_path).append(JUDGED, asdict(judged), at=NOW)
    assert "inconclusive" in give(home, "challengers")
    told = give(home, "compare", "12")
    answers = case.answers("intent")
    count = answers.filter(answers["challenger"] != answers["champion"]).height
    for line in (
        "Release 12 beside champion 9: inconclusive",
        "made by ada",
        "accuracy of 200 test cases",
        f"intent: {count} of 200 answers to the test changed",
        "intent.could_show_harm[intent=card_",
        "`cxloop waive 12 'intent.could_show_harm[intent=",
        "160 from a review; 3 people",
        "next week, of 4200 messages: handoffs: challenger 570 (500–640)",
        "340 labels more",
    ):
        assert line in told
    with pytest.raises(ServiceError, match="it is not served over this home"):
        give(home, "compare", "12", "--open")
    with pytest.raises(DecisionRefused, match=r"that was judged is needed \(12\), found 7"):
        give(home, "compare", "7")
    (case.folder / "next_week.json").write_text("{}")
    with pytest.raises(CaseFileError, match=r"next_week.json was changed"):
        give(home, "compare", "12")


def test_reviewers_are_listed_without_their_tokens(home):
    assert "Nobody may decide yet" in give(home, "reviewers", "list")
    assert "names too few reviewers: 1 must approve, 0 may" in give(home, "config", "check")
    give(home, "reviewers", "add", "ada", "--account", "Ada L", "--role", "reader")
    listed = give(home, "reviewers", "list")
    assert "Ada L" in listed
    assert "argon2" not in listed
    give(home, "reviewers", "remove", "ada")
    (home.configs / "reviewers.yaml").unlink()
    assert "nobody may decide. `cxloop reviewers add NAME` makes it" in give(home, "config", "check")
