"""Whose home it is, and where a replay goes on."""

from datetime import UTC, datetime

import pytest

from labeling.errors import HomeError
from labeling.home import Home
from pipelines.replay.state import STATE_FILE, ReplayState, load_state, require_own

PLAN = {"kind": "demo", "seed": 3}
FIRST = {"champion": "1", "judged": "1", "verdict": "promote", "answers": 7}


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    home.path.mkdir()
    return home


@pytest.fixture
def state():
    return ReplayState(plan=PLAN, start=datetime(2026, 3, 1, tzinfo=UTC))


def test_what_was_done_comes_back_in_its_order(home, state):
    state.done("0:messages", 2.5).done("0:history", 1.0).ended(0, **FIRST).save(home)
    found = load_state(home)
    assert list(found.seconds.items()) == [("0:messages", 2.5), ("0:history", 1.0)]
    assert found.outcomes == {"0": {"champion": "1", "judged": "1", "verdict": "promote", "answers": "7"}}
    assert not found.finished


def test_a_week_in_which_nothing_was_judged_has_no_verdict(state):
    stayed = state.ended(0, **FIRST).ended(1, **FIRST)
    judged = stayed.ended(2, champion="1", judged="2", verdict="hold", answers=9)
    assert [week["verdict"] for week in judged.outcomes.values()] == ["promote", "", "hold"]
    again = judged.ended(2, champion="1", judged="2", verdict="hold", answers=9)  # killed before the week was done
    assert again == judged


def test_a_free_folder_and_a_missing_one_may_be_played_in(home, tmp_path):
    assert require_own(home, PLAN) is None
    assert require_own(Home(tmp_path / "none"), PLAN) is None


def test_what_a_start_leaves_behind_before_its_state_does_not_stop_the_next(home):
    with home.lock():
        (home.path / f"{STATE_FILE}.new").touch()
        assert require_own(home, PLAN) is None


def test_an_unfinished_replay_goes_on_with_the_same_options_only(home, state):
    state.save(home)
    home.configs.mkdir()
    assert require_own(home, PLAN) == state
    with pytest.raises(HomeError, match="give the same options again"):
        require_own(home, {**PLAN, "seed": 4})


def test_a_finished_replay_makes_room_for_another(home, state):
    state.model_copy(update={"finished": True}).save(home)
    home.configs.mkdir()
    assert require_own(home, {**PLAN, "seed": 4}) is None


def test_a_loop_of_ones_own_and_a_folder_of_other_things_are_refused(home):
    (home.path / "thesis.txt").touch()
    with pytest.raises(HomeError, match=r"found thesis\.txt"):
        require_own(home, PLAN)
    home.configs.mkdir()
    with pytest.raises(HomeError, match="found a loop in"):
        require_own(home, PLAN)


@pytest.mark.parametrize("content", ["", "{", '{"plan": {}, "start": "never"}', "\xff"])
def test_a_damaged_state_is_named(home, content):
    (home.path / STATE_FILE).write_bytes(content.encode("latin-1"))
    with pytest.raises(HomeError, match=r"replay\.json cannot be read"):
        load_state(home)
