"""The whole loop, played once with the real Label Studio: what stands where, and that nothing is left running."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing

import polars as pl
import psutil
import pytest

from assets.resources import Loop
from labeling import tables as t
from labeling.home import Home
from serving.release import open_champion
from tests.e2e.playing import is_finished, play
from training.registry.registry import RELEASE
from training.registry.standing import read_standing

TEXTS = ("my phone was stolen, block it please", "why is my bill so high this month?", "what a lovely day")
INBOX = (t.INTERACTIONS, t.CORRECTIONS, t.ESCALATIONS, t.REVIEWS)
ASK = """
import json, sys
import mlflow
texts = json.loads(sys.argv[1])
print(mlflow.pyfunc.load_model("models:/cxloop-triage@champion").predict(texts).to_json(orient="records"))
"""


@pytest.fixture(scope="module")
def home(label_studio_program, tmp_path_factory):
    """A home in which the small script was played with Label Studio."""
    folder = tmp_path_factory.mktemp("loop") / "home"
    ended = play(folder, desk="label_studio")
    assert ended.code == 0, ended.said
    assert is_finished(folder)
    return Home(folder)


@pytest.fixture(scope="module")
def loop(home):
    return Loop(home=str(home.path))


def read_inbox(home, table):
    lines = [line for file in (home.inbox / table.name).glob("*.jsonl") for line in file.read_text().splitlines()]
    return [json.loads(line) for line in lines]


@pytest.mark.label_studio
def test_a_release_is_champion_and_registry_and_ledger_agree(loop):
    ledger, registry = loop.open_ledger(), loop.open_registry()
    ledger.verify()
    standing = read_standing(ledger.entries())
    assert standing.champion
    assert not standing.unsettled
    for (name, alias), version in standing.wanted_aliases().items():
        assert registry.aliases(name).get(alias) == version, (name, alias)
    assert registry.aliases(RELEASE)["champion"] == standing.champion


@pytest.mark.label_studio
def test_every_case_at_the_desk_was_answered_as_often_as_asked(home):
    queue = home.tables.read(t.REVIEW_QUEUE, columns=["case_id", "overlap"])
    cases = home.tables.read(t.REVIEW_TASKS).join(queue, on="case_id", validate="1:1", suffix="_at_first")
    with closing(sqlite3.connect(home.label_studio / "label_studio.sqlite3")) as database:
        answers = dict(database.execute("SELECT task_id, count(*) FROM task_completion GROUP BY task_id"))
    assert cases.height == queue.height > 60
    assert set(queue["overlap"]) == {1, 2}
    sent = cases.filter(pl.col("state") == "sent").select("desk_task_id", "overlap_at_first", "overlap")
    assert sent.height > 60
    assert all(answers.get(int(task), 0) >= at_first for task, at_first, _ in sent.iter_rows())
    assert {2, 3} >= set(sent.filter(pl.col("overlap") > pl.col("overlap_at_first"))["overlap"])


@pytest.mark.label_studio
def test_what_people_answered_is_in_the_table_once(home):
    with closing(sqlite3.connect(home.label_studio / "label_studio.sqlite3")) as database:
        kept = dict(database.execute("SELECT was_cancelled, count(*) FROM task_completion GROUP BY was_cancelled"))
    reviews = home.tables.read(t.REVIEWS).filter(~pl.col("review_id").str.starts_with("history-"))
    skipped = pl.col("unanswered").eq_missing("skipped")
    assert reviews.filter(~skipped)["review_id"].n_unique() == kept[0] > 60
    assert reviews.filter(skipped)["review_id"].n_unique() == kept.get(1, 0)
    assert reviews.select("interaction_id", "annotator_id", "task").is_unique().all()


@pytest.mark.label_studio
@pytest.mark.parametrize("table", INBOX, ids=lambda table: table.name)
def test_every_row_of_the_inbox_is_in_its_table_or_in_quarantine(home, table):
    events = read_inbox(home, table)
    noted = home.tables.read(t.DELIVERIES, where=pl.col("table") == table.name)
    refused = home.tables.read(t.QUARANTINE, where=pl.col("table") == table.name)
    assert events
    assert int(noted["rows"].sum()) == len(events)
    assert int(noted["stored"].sum()) + refused.height == len(events)
    keys = {tuple(event[name] for name in table.key) for event in events}
    stored = set(home.tables.read(table, columns=list(table.key)).rows())
    assert len(keys) == len(events)
    assert len(keys & stored) == len(events) - refused.height


@pytest.mark.label_studio
def test_no_pickle_lies_in_the_home(home):
    """One would run whatever somebody put there; its first byte is 0x80, its second the protocol."""
    files = [path for path in home.path.rglob("*") if path.is_file() and not path.is_symlink()]
    assert len(files) > 100
    assert [path for path in files if path.suffix in {".pickle", ".pkl", ".pt", ".joblib"}] == []
    assert [
        path for path in files if path.read_bytes()[:2] in {bytes([0x80, protocol]) for protocol in (2, 3, 4, 5)}
    ] == []


@pytest.mark.label_studio
def test_no_audit_interaction_is_in_a_training_set(home):
    audit = home.tables.read(t.INTERACTIONS, columns=["interaction_id"], where=pl.col("lot") == "audit")
    trained = home.tables.read(t.TRAINING_SETS, columns=["interaction_id", "task"])
    assert audit.height > 50
    assert set(trained["task"]) == {"intent", "sentiment"}
    assert trained.join(audit, on="interaction_id", how="semi").is_empty()


@pytest.mark.label_studio
def test_every_audit_case_went_out_blind_and_no_suggestion_is_noted(home):
    audit = home.tables.read(t.REVIEW_QUEUE, where=pl.col("reason") == "audit")
    assert audit.height
    assert audit["blind"].all()
    answers = home.tables.read(t.REVIEWS).join(audit, on="interaction_id", how="semi")
    assert answers["suggestion"].null_count() == answers.height > 0


@pytest.mark.label_studio
def test_the_champion_answers_a_plain_process_as_the_release_does(home, loop, tmp_path):
    champion = open_champion(loop.open_registry())
    assert champion is not None
    asked = subprocess.run(
        [sys.executable, "-P", "-c", ASK, json.dumps(TEXTS)],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "MLFLOW_TRACKING_URI": home.mlflow_uri},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 0, asked.stderr
    said, expected = json.loads(asked.stdout.splitlines()[-1]), champion.release.public_answer(TEXTS)
    assert list(said[0]) == list(expected.columns)
    for row, (_, wanted) in zip(said, expected.iterrows(), strict=True):
        assert row == pytest.approx(wanted.to_dict(), abs=1e-4)


@pytest.mark.label_studio
def test_no_process_is_left(home):
    def mine(process):
        return any(str(home.path) in argument for argument in process.info["cmdline"] or [])

    assert not [process for process in psutil.process_iter(["cmdline"]) if mine(process)]


@pytest.mark.label_studio
def test_the_report_tells_every_week(home):
    report = (home.reports / "replay.html").read_text(encoding="utf-8")
    assert report.count("<tr><td>") == 3
    assert "promote" in report


@pytest.mark.browser
@pytest.mark.parametrize("width", [1440, 390])
def test_the_report_page_fits_its_window_and_shows_three_plots(played, page, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.goto((played.home / "reports" / "replay.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    plots = page.locator(".plots svg")
    assert plots.count() == 3
    for number in range(3):
        box = plots.nth(number).bounding_box()
        assert box["width"] > 250
        assert box["x"] + box["width"] <= width
    assert page.locator("tbody tr").count() == len({step.split(":")[0] for step in played.seconds}) == 2
    assert page.locator("h1").inner_text() == "Larkfield's support messages"
