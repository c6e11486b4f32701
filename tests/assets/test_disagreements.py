"""People are asked about fresh cases on which a challenger in doubt and the champion differ."""

from datetime import timedelta

import polars as pl
import pytest

from assets.disagreements import DRAWN, disagreements
from assets.judging import Judging, judge_release
from labeling import tables as t
from labeling.desk.cases import build_cases
from labeling.vocabulary import JUDGING
from serving.release import Champion as Answering
from serving.release import Release
from tests.assets.conftest import NOW, StockedHome
from tests.assets.judging_stage import OTHER, TEXTS, JudgedHome, build_pair, said_by
from training.registry.standing import JUDGED, read_standing

FRESH = TEXTS * 4


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return build_pair(tmp_path_factory.mktemp("pair"))


@pytest.fixture(scope="module")
def played(tmp_path_factory, give_mlflow, pair):
    """A home whose challenger is half right on the test, as its champion is, with fresh messages."""
    home = JudgedHome(StockedHome(tmp_path_factory.mktemp("played") / "home", give_mlflow))
    home.set_gates(most_disagreements=40)
    home.crown(pair[1])
    said = said_by(pair[0], TEXTS)
    home.put_test([label if row % 2 else OTHER[label] for row, label in enumerate(said)])
    version = home.register(pair[0])
    judged = judge_release(home.loop, Judging(version, Release.load(pair[0])), home.registry)
    assert judged.verdict == "inconclusive"
    home.later(NOW + timedelta(days=1))
    names = home.put_open(FRESH, occurred_at=home.loop.now())
    champion = Answering("1", Release.load(pair[1], home.loop.settings.taxonomy))
    rows = champion.predict(pl.Series(names), pl.Series(FRESH))
    more = {"model_version": pl.lit("1"), "shown": pl.lit(value=True), "predicted_at": pl.lit(home.loop.now())}
    home.stocked.tables.merge(t.PREDICTIONS, rows.with_columns(**more))
    return home


@pytest.fixture
def doubted(played, tmp_path):
    return JudgedHome.copy(played, tmp_path / "home")


def make(home):
    return home.stocked.make(disagreements)["disagreements"]


def answer(home, pair, *, right):
    """Settle every asked case as the challenger has it, or as the champion."""
    asked = home.loop.open_ledger().entries(DRAWN)[-1].body["tasks"]["topic"]["sample"]
    texts = dict(home.stocked.tables.read(t.INTERACTIONS).select("interaction_id", "text").iter_rows())
    said = said_by(pair[0], [texts[name] for name in asked])
    truth = said if right == "challenger" else [OTHER[label] for label in said]
    home.stocked.labels(dict(zip(asked, truth, strict=True)), task="topic")


def test_people_are_asked_about_a_uniform_sample_blind_and_between_two_answers(doubted):
    assert make(doubted)["asked"] == 40
    drawn = doubted.loop.open_ledger().entries(DRAWN)[0].body
    assert (drawn["version"], drawn["champion"]) == ("2", "1")
    assert (drawn["tasks"]["topic"]["fresh"], drawn["tasks"]["topic"]["differing"]) == (120, 120)
    queue = doubted.stocked.tables.read(t.REVIEW_QUEUE)
    assert set(queue["reason"]) == {JUDGING}
    assert set(queue["interaction_id"]) == set(drawn["tasks"]["topic"]["sample"])
    cases = build_cases(doubted.stocked.tables, project="1", champion="1", topic="topic")
    assert all(case.blind and sorted(case.answers["topic"]) == ["delivery", "refund"] for case in cases)


def test_what_was_drawn_is_not_drawn_again_while_answers_are_missing(doubted):
    make(doubted)
    made = make(doubted)
    assert made["waits_for"] == "answers"
    assert len(doubted.loop.open_ledger().entries(DRAWN)) == 1


def test_a_newer_challenger_in_doubt_waits_its_turn(doubted, pair):
    version = doubted.register(pair[0])
    judge_release(doubted.loop, Judging(version, Release.load(pair[0])), doubted.registry)
    assert make(doubted)["version"] == "2"


@pytest.mark.parametrize(("right", "verdict"), [("challenger", "passed"), ("champion", "undecided")])
def test_once_answered_the_release_is_judged_again_without_opening_the_test(doubted, pair, right, verdict):
    make(doubted)
    answer(doubted, pair, right=right)
    made = make(doubted)
    assert f"topic.better | {verdict}" in made["gates"]
    last = doubted.loop.open_ledger().entries(JUDGED)[-1].body
    assert (last["version"], last["test"], last["look"]) == ("2", None, 1)
    assert make(doubted)["waits_for"] == "a challenger that is not shown better"


def test_after_the_days_for_answers_it_is_judged_by_what_came(doubted):
    make(doubted)
    doubted.later(NOW + timedelta(days=9))
    assert "40 disagreements" in make(doubted)["gates"]


def test_too_few_disagreements_wait_for_more_messages(doubted):
    doubted.set_gates(most_disagreements=130)
    doubted.later(NOW + timedelta(days=1, hours=1))
    assert make(doubted)["waits_for"].startswith("more messages")
    doubted.later(NOW + timedelta(days=9))
    assert make(doubted)["asked"] > 0


def test_nobody_is_asked_where_nobody_shall_be(doubted):
    doubted.set_gates(most_disagreements=0)
    doubted.later(NOW + timedelta(days=9))
    make(doubted)
    assert doubted.stocked.tables.read(t.REVIEW_QUEUE).is_empty()
    assert read_standing(doubted.loop.open_ledger().entries()).challenger is None
