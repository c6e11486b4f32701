"""Cases go to the desk and come off it: a stop at any instant neither loses nor doubles one."""

from datetime import UTC, datetime

import pytest

from labeling import tables as t
from labeling.delta import Tables
from labeling.desk.cases import build_cases
from labeling.desk.fake import FakeReviewDesk
from labeling.desk.sending import Dispatch
from labeling.errors import DeskUnavailable
from tests.contracts.desks import TAXONOMY

NOW = datetime(2026, 3, 9, tzinfo=UTC)
GOOD = {"intent": "card_lost", "sentiment": "neutral"}


class _Stopping(FakeReviewDesk):
    """Ends in an error before or after the cases have come to the desk."""

    def __init__(self, root, *, after):
        super().__init__(root)
        self._after = after

    def send(self, cases):
        if self._after:
            super().send(cases)
        raise DeskUnavailable("the server was stopped")


class _Twice(FakeReviewDesk):
    """Holds a second copy of each case, which was answered, so that it is the one that stays."""

    def count_cases(self):
        return 2 * super().count_cases()

    def list_cases(self):
        return {case: f"copy of {place}" for case, place in super().list_cases().items()}


class Post:
    """A queue of cases, a fake desk, and what keeps them in step."""

    def __init__(self, folder):
        self.tables, self.desk = Tables(folder / "tables"), FakeReviewDesk(folder / "desk")

    def queue(self, *names, **common):
        plain = {"occurred_at": NOW, "updated_at": NOW, "turn": 1, "text": "hello"}
        messages = [{"interaction_id": name, "conversation_id": f"of-{name}"} | plain for name in names]
        self.tables.merge(t.INTERACTIONS, t.INTERACTIONS.frame(messages))
        rows = [{"case_id": name, "interaction_id": name, "picked_at": NOW} for name in names]
        common = {"reason": "uncertainty", "blind": False, "overlap": 1} | common
        self.tables.merge(t.REVIEW_QUEUE, t.REVIEW_QUEUE.frame([row | common for row in rows]))

    def dispatch(self, desk=None):
        desk = desk or self.desk
        return Dispatch(self.tables, desk, desk.open_project(TAXONOMY), NOW)

    def send(self, desk=None):
        dispatch = self.dispatch(desk)
        again = dispatch.recount()
        return dispatch.send(build_cases(self.tables, project=dispatch.project, champion=None)), again

    def answer(self, case, person, labels):
        """Answer at the desk and store that, as a fetch does."""
        self.desk.answer(case, person, labels, NOW)
        row = {"review_id": f"{case}-{person}", "case_id": case, "interaction_id": case, "answered_at": NOW}
        said = labels or dict.fromkeys(GOOD)
        rows = [
            {"task": task, "label": label, "unanswered": None if labels else "skipped"} for task, label in said.items()
        ]
        self.tables.merge(t.REVIEWS, t.REVIEWS.frame([row | one for one in rows]))

    def states(self):
        rows = self.tables.read(t.REVIEW_TASKS).sort("case_id")
        return dict(rows.select("case_id", "state").iter_rows())

    def asked(self):
        return dict(self.tables.read(t.REVIEW_TASKS).select("case_id", "overlap").iter_rows())


@pytest.fixture
def post(tmp_path):
    return Post(tmp_path)


def test_cases_are_sent_once_and_stand_where_they_are_said_to(post):
    post.queue("a", "b", overlap=2)
    assert post.send() == (2, 0)
    rows = post.tables.read(t.REVIEW_TASKS)
    assert rows["state"].to_list() == ["sent", "sent"]
    assert rows["desk_task_id"].null_count() == 0
    assert post.asked() == {"a": 1, "b": 1}
    assert post.send() == (0, 0)
    assert post.desk.count_cases() == 2


@pytest.mark.parametrize("after", [False, True])
def test_a_stop_while_cases_are_sent_neither_loses_nor_doubles_one(post, tmp_path, after):
    post.queue("a", "b")
    with pytest.raises(DeskUnavailable):
        post.send(_Stopping(tmp_path / "desk", after=after))
    assert post.states() == {"a": "sending", "b": "sending"}
    assert post.send() == (2, 0)
    assert post.states() == {"a": "sent", "b": "sent"}
    assert post.desk.list_cases().keys() == {"a", "b"}


def test_a_case_that_somebody_deleted_at_the_desk_goes_again_unless_it_was_answered(post):
    post.queue("a", "b", "c")
    post.send()
    post.answer("b", "ann-1", GOOD)
    post.desk.remove(["a", "b"])
    assert post.send() == (1, 1)
    assert post.states() == {"a": "sent", "b": "withdrawn", "c": "sent"}
    assert post.desk.list_cases().keys() == {"a", "c"}
    assert post.send() == (0, 0)


def test_a_case_that_came_twice_is_known_by_the_copy_that_stays(post, tmp_path):
    post.queue("a")
    post.send()
    [place] = post.desk.list_cases().values()
    assert post.send(_Twice(tmp_path / "desk")) == (0, 0)
    row = post.tables.read(t.REVIEW_TASKS)
    assert row.select("state", "desk_task_id").row(0) == ("sent", f"copy of {place}")


def test_stale_cases_come_off_the_desk_and_never_go_out(post):
    post.queue("unsent", "waiting", "answered")
    dispatch = post.dispatch()
    cases = build_cases(post.tables, project=dispatch.project, champion=None)
    dispatch.send([case for case in cases if case.case_id != "unsent"])
    post.desk.answer("answered", "ann-1", GOOD, NOW)
    assert dispatch.withdraw(["unsent", "waiting", "answered"]) == 2
    assert post.states() == {"unsent": "withdrawn", "waiting": "withdrawn", "answered": "sent"}
    assert post.desk.list_cases().keys() == {"answered"}
    assert post.send() == (0, 0)


def test_a_case_is_asked_of_a_second_and_of_a_third_person_when_it_needs_them(post):
    post.queue("agreed", "disputed", overlap=2)
    post.send()
    for case in ("agreed", "disputed"):
        post.answer(case, "ann-1", GOOD)
    assert post.desk.count_waiting() == 0
    assert post.dispatch().ask_again(TAXONOMY) == 0
    assert post.desk.count_waiting() == 2
    post.answer("agreed", "ann-2", GOOD)
    post.answer("disputed", "ann-2", GOOD | {"intent": "fee_dispute"})
    assert post.dispatch().ask_again(TAXONOMY) == 1
    assert post.asked() == {"agreed": 2, "disputed": 3}
    assert post.desk.count_waiting() == 1
    assert post.dispatch().ask_again(TAXONOMY) == 0


def test_a_third_skip_ends_a_case(post):
    post.queue("a")
    post.send()
    for number in range(3):
        assert post.desk.count_waiting() == 1
        post.answer("a", f"ann-{number}", None)
        post.dispatch().ask_again(TAXONOMY)
    assert (post.desk.count_waiting(), post.asked()) == (0, {"a": 0})


def test_a_clock_that_stands_still_or_goes_back_hides_no_state(post):
    post.queue("a")
    post.send()
    later = post.tables.read(t.REVIEW_TASKS)["changed_at"].item()
    post.dispatch().withdraw(["a"])
    row = post.tables.read(t.REVIEW_TASKS)
    assert row["state"].item() == "withdrawn"
    assert row["changed_at"].item() > later
