"""A release is judged on the sealed test, and what was found stands in a case file that the ledger names."""

from datetime import timedelta

import pytest

from assets.judging import Judging, describe_gates, judge_release
from assets.promises import read_kept
from labeling import tables as t
from labeling.errors import RegistryError
from serving.release import Release
from tests.assets.conftest import NOW, StockedHome
from tests.assets.judging_stage import OTHER, TEXTS, JudgedHome, build_pair, said_by
from tests.mlflow_fixture import locked
from training.judging.gates import GateResult
from training.registry.registry import CASE_FILE_TAG, RELEASE, VERDICT_TAG
from training.registry.standing import JUDGED


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return build_pair(tmp_path_factory.mktemp("pair"))


@pytest.fixture
def home(stocked):
    return JudgedHome(stocked)


def judge(home, folder, **more):
    version = home.register(folder)
    return judge_release(home.loop, Judging(version, Release.load(folder), **more), home.registry)


@pytest.fixture(scope="module")
def once(tmp_path_factory, give_mlflow, pair):
    """A home, and the judging of a release that is wrong in six of thirty cases; not to be changed."""
    home = JudgedHome(StockedHome(tmp_path_factory.mktemp("once") / "home", give_mlflow))
    said = said_by(pair[0], TEXTS)
    home.put_test([OTHER[label] if row < 6 else label for row, label in enumerate(said)])
    home.put_test([OTHER[label] for label in said], part="calibrate", prefix="other")
    return home, judge(home, pair[0], authors=("ana",))


def test_a_release_is_scored_on_the_test_part_alone(once):
    _, found = once
    assert found.metrics["topic_accuracy"] == pytest.approx(24 / 30)
    card = found.case_file.scorecards("topic")["challenger"]
    assert card is not None
    assert card.cases == 30
    assert card.slices["channel"]["chat"].cases == 30
    names = {gate.name for gate in found.gates}
    assert names >= {"topic.enough_cases", "topic.beats_commonest", "topic.behaviour"}


def test_the_handoff_promise_is_judged_on_what_the_policy_keeps_and_stands_in_the_case_file(once, pair):
    _, found = once
    handed = Release.load(pair[0]).answer([TEXTS[row % len(TEXTS)] for row in range(30)])["handoff"].to_list()
    kept = read_kept(found.case_file)["topic"]
    assert (kept.cases, kept.kept, kept.promised) == (30, handed.count(False), 0.6)
    assert kept.wrong == handed[:6].count(False)
    [gate] = [gate for gate in found.gates if gate.name == "topic.promise"]
    assert gate.measured.startswith(f"{kept.wrong} of {kept.kept} kept answers wrong")


def test_the_ledger_and_the_version_name_the_case_file(once):
    home, found = once
    [entry] = home.loop.open_ledger().entries(JUDGED)
    tags = home.registry.version(RELEASE, entry.body["version"]).tags
    assert entry.body["case_file"] == found.case_file.digest == tags[CASE_FILE_TAG]
    assert entry.body["verdict"] == found.verdict == tags[VERDICT_TAG]
    assert entry.body["test"]
    found.case_file.verify()
    assert found.case_file.about.authors == ("ana",)
    assert f"case_files/{found.case_file.digest}/case.json" in found.documents()


def test_no_text_stands_in_a_case_file(once):
    files = once[1].documents().values()
    assert not [text for text in TEXTS for content in files if text in content]


def test_beside_a_champion_both_answer_and_what_changed_is_listed(home, pair):
    home.crown(pair[1])
    home.put_test(said_by(pair[0], TEXTS))
    found = judge(home, pair[0])
    better = next(gate for gate in found.gates if gate.name == "topic.better")
    assert better.verdict == "passed"
    assert found.case_file.about.champion == "1"
    answers = found.case_file.answers("topic")
    assert (answers["challenger"] != answers["champion"]).all()
    assert found.case_file.next_week().messages > 0


def test_judging_again_what_did_not_change_opens_no_test_and_finds_the_same(once, pair):
    home, found = once
    again = judge_release(home.loop, Judging(home.registry.versions(RELEASE)[-1], Release.load(pair[0])), home.registry)
    assert (again.case_file.digest, again.metrics, again.gates) == (found.case_file.digest, found.metrics, found.gates)
    assert len(home.loop.open_ledger().entries(JUDGED)) == 1


def test_a_judging_while_mlflow_is_locked_is_told_and_counted_once(home, pair, impatient_mlflow):
    home.put_test(said_by(pair[0], TEXTS))
    version = home.register(pair[0])
    judging = Judging(version, Release.load(pair[0]))
    for how, recorded in (("EXCLUSIVE", 0), ("IMMEDIATE", 1)):
        with locked(home.registry, how), pytest.raises(RegistryError, match="database is locked"):
            judge_release(home.loop, judging, home.registry)
        assert len(home.loop.open_ledger().entries(JUDGED)) == recorded
        assert CASE_FILE_TAG not in home.registry.version(RELEASE, version.version).tags
    found = judge_release(home.loop, judging, home.registry)
    assert len(home.loop.open_ledger().entries(JUDGED)) == 1
    assert home.registry.version(RELEASE, version.version).tags[CASE_FILE_TAG] == found.case_file.digest


def test_changed_gates_judge_anew(home, pair):
    home.put_test(said_by(pair[0], TEXTS))
    first = judge(home, pair[0])
    home.set_gates(min_cases=31)
    again = judge_release(home.loop, Judging(home.registry.versions(RELEASE)[-1], Release.load(pair[0])), home.registry)
    assert (first.verdict, again.verdict) == ("promote", "inconclusive")
    assert len(home.loop.open_ledger().entries(JUDGED)) == 2


def test_a_segment_that_tells_who_somebody_is_holds_a_release_until_it_is_mended(home, pair):
    said = said_by(pair[0], TEXTS)
    names = home.put_test(said)
    home.put_test(said[:1], prefix=names[0].removesuffix("-000"), segment="of ada@example.com")
    held = judge(home, pair[0])
    gate = next(gate for gate in held.gates if gate.name == "topic.personal_data")
    assert (held.verdict, gate.verdict) == ("hold", "failed")
    assert "EMAIL in answers/topic.json" in gate.measured
    assert "ada" not in gate.measured

    home.put_test(
        said[:1], prefix=names[0].removesuffix("-000"), segment="business", updated_at=NOW + timedelta(days=1)
    )
    again = judge_release(home.loop, Judging(home.registry.versions(RELEASE)[-1], Release.load(pair[0])), home.registry)
    assert again.verdict == "promote"


def test_without_test_cases_nothing_is_claimed_and_no_use_is_counted(home, pair):
    found = judge(home, pair[0])
    assert (found.verdict, found.metrics) == ("inconclusive", {})
    assert home.loop.open_ledger().entries(JUDGED)[0].body["test"] is None


def test_a_judging_by_an_earlier_case_file_opens_no_test(home, pair):
    home.put_test(said_by(pair[0], TEXTS))
    first = judge(home, pair[0])
    home.stocked.labels(dict.fromkeys(home.stocked.tables.read(t.LABELS)["interaction_id"], "refund"), task="topic")
    version = home.registry.versions(RELEASE)[-1]
    again = judge_release(home.loop, Judging(version, Release.load(pair[0]), earlier=first.case_file), home.registry)
    assert again.metrics["topic_accuracy"] == first.metrics["topic_accuracy"] == 1
    assert [entry.body["test"] is None for entry in home.loop.open_ledger().entries(JUDGED)] == [False, True]


def test_gates_are_told_in_one_table_with_what_would_help():
    gates = [
        GateResult("topic.enough_cases", "undecided", "3", "at least 50 test cases", "review 47 audit cases more"),
        GateResult("topic.slice_harmed", "failed", "lost 9", "no worse", "look", slice=("label", "refund")),
    ]
    head, rule, *rows = describe_gates(gates).splitlines()
    assert head == "| gate | verdict | measured | needed | what would help |"
    assert rule.count("|") == 6
    assert len(rows) == 2
    assert all(row.count("|") == 6 for row in rows)
    assert "slice_harmed (label refund)" in rows[1]
