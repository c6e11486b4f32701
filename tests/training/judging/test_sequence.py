import pytest

from training.judging.sequence import spend_alpha


def test_a_reign_never_spends_more_than_its_whole_chance():
    spent = [spend_alpha(0.1, look) for look in range(1, 3001)]
    assert spent[0] == pytest.approx(0.0437, abs=1e-4)
    assert spent == sorted(spent, reverse=True)
    assert 0.098 < sum(spent) < 0.1


def test_tasks_that_are_tested_together_share_the_level():
    assert spend_alpha(0.1, 3, tasks=2) == pytest.approx(spend_alpha(0.1, 3) / 2)


@pytest.mark.parametrize(("look", "tasks"), [(0, 1), (1, 0)])
def test_looks_and_tasks_count_from_one(look, tasks):
    with pytest.raises(ValueError, match="from 1 on are needed"):
        spend_alpha(0.1, look, tasks=tasks)
