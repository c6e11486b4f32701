"""The policy of a release is fitted to reviewed calibrate cases alone, each with what its customer had said before."""

import numpy as np
import pytest

from assets.handoff import fit_release_handoff, read_conversations, read_reviewed
from labeling import tables as t
from serving.reading import Reader
from tests.assets.conftest import NOW
from tests.assets.judging_stage import TEXTS, JudgedHome, build_pair, said_by
from training.scoring import Scorer


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    return build_pair(tmp_path_factory.mktemp("releases"))


@pytest.fixture
def home(stocked):
    return JudgedHome(stocked)


def test_a_case_is_a_conversation_up_to_its_turn(home):
    turns = [{"interaction_id": f"turn-{turn}", "turn": turn, "text": f"said {turn}"} for turn in (3, 1, 2)]
    home.stocked.put(t.INTERACTIONS, *turns, conversation_id="one", lot="audit", channel="chat", segment="home")
    home.stocked.put(t.INTERACTIONS, {"interaction_id": "other", "conversation_id": "two", "text": "hi"}, lot="audit")
    second, other = read_conversations(home.loop, ["turn-2", "other"])
    assert second.customer_texts() == ["said 1", "said 2"]
    assert (second.channel, second.segment, other.customer_texts()) == ("chat", "home", ["hi"])
    assert read_conversations(home.loop, []) == []


def test_calibrate_cases_alone_fit_the_policy_and_what_is_right_is_kept(home, releases):
    said = said_by(releases[0], TEXTS)
    truth = [said[row % len(TEXTS)] for row in range(36)]
    home.put_test(truth, part="calibrate", prefix="calibrate")
    home.put_test(["refund"] * 4, part="test", prefix="sealed")
    home.put_test(["refund"] * 4, part="estimate", prefix="estimate")
    folders = {"topic": releases[0] / "models" / "topic"}
    policy = fit_release_handoff(home.loop, folders)
    assert (policy.promise.cases, policy.promise.wrong, policy.promise.kept) == (36, 0, 36)
    assert policy == fit_release_handoff(home.loop, folders)
    contrary = fit_release_handoff(home.loop, {"topic": releases[1] / "models" / "topic"})
    assert contrary.promise.threshold is None


def test_most_reviewers_say_whether_a_person_was_needed(home, releases):
    names = home.put_test(["refund"] * 3, part="calibrate")
    votes = {names[0]: ["needed", "needed", "not_needed"], names[1]: ["not_needed"]}
    rows = [
        {"review_id": f"{name}-{place}", "interaction_id": name, "label": vote, "answered_at": NOW}
        for name, said in votes.items()
        for place, vote in enumerate(said)
    ]
    home.stocked.put(t.REVIEWS, *rows, task="handoff")
    reader = Reader({"topic": Scorer.load(releases[0] / "models" / "topic")}, home.loop.settings.taxonomy)
    found = read_reviewed(home.loop, reader, home.loop.settings.handoff, ("topic",), part="calibrate")
    assert found.interaction_ids == names
    np.testing.assert_array_equal(found.outcomes.needed, [True, False, False])
