"""A label's name is read as words, and heard as long as it says something of the texts."""

import numpy as np
import pytest

from training.label_names import are_telling, spell_out


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ReportLostCard", "report lost card"),
        ("report_lost-card", "report lost card"),
        ("Refund not showing up", "refund not showing up"),
        ("FindATM", "find atm"),
        ("ATMFees", "atm fees"),
        ("top_up_by_2FA", "top up by 2 fa"),
        ("Überweisung", "überweisung"),
        ("17", "17"),
        ("???", "???"),
    ],
)
def test_names_are_spelt_out_however_they_are_written(name: str, words: str) -> None:
    assert spell_out(name) == words


def test_names_are_trusted_until_a_batch_speaks_against_them() -> None:
    nothing = np.zeros(0, int)
    assert are_telling(nothing, nothing, 20)
    wrong = np.arange(20)
    assert not are_telling((wrong + 1) % 20, wrong, 20)
    assert not are_telling(wrong, np.full(20, -1), 20)
    assert are_telling(np.where(wrong < 5, wrong, (wrong + 1) % 20), wrong, 20)


def test_two_labels_need_more_than_chance() -> None:
    targets = np.tile([0, 1], 20)
    assert not are_telling(np.zeros(40, int), targets, 2)
    assert are_telling(np.where(np.arange(40) < 30, targets, 1 - targets), targets, 2)
