"""The checks of a frozen training set: each fault is found, and what is sound passes."""

import dagster as dg
import polars as pl
import pytest

from assets.set_checks import (
    FEW,
    check_counts,
    check_left_out,
    check_lots,
    check_rows,
    check_splits,
    compare_classes,
    training_set_checks,
)
from labeling import tables as t
from labeling.taxonomy import Label, Task
from tests.assets.conftest import NOW

TASK = Task(name="topic", question="?", labels=tuple(Label(name=name, title=name) for name in "abc"))
BLOCKING = {"rows_sound", "splits_apart", "audit_stays_out"}


def rows_of(*changes, count=12, **common):
    """Return rows of a sound set, one changed for each of ``changes``."""
    rows = [
        {
            "training_set_id": "s",
            "task": "topic",
            "interaction_id": f"i{n}",
            "label": "ab"[n % 2],
            "weight": 0.9,
            "text_digest": f"t{n}",
            "group_digest": f"g{n}",
            "split": "dev" if n in (0, 1) else "train",
            "frozen_at": NOW,
        }
        | common
        for n in range(count)
    ]
    return t.TRAINING_SETS.frame([row | change for row, change in zip(rows, [*changes, *[{}] * count], strict=False)])


def about(*changes, count=12):
    rows = [
        {"interaction_id": f"i{n}", "conversation_id": f"c{n}", "customer_key": f"p{n}", "lot": "open"}
        for n in range(count)
    ]
    return t.INTERACTIONS.frame([row | change for row, change in zip(rows, [*changes, *[{}] * count], strict=False)])


def test_a_sound_set_passes():
    assert check_rows(rows_of(), TASK).passed
    assert check_splits(rows_of(), about()).passed
    assert check_lots(rows_of(), about()).passed
    assert check_counts(rows_of(), TASK).passed
    assert check_left_out({}).passed


@pytest.mark.parametrize(
    "change",
    [
        {"label": "gone"},
        {"weight": 0.0},
        {"weight": 1.1},
        {"weight": None},
        {"split": "test"},
        {"interaction_id": "i5"},
    ],
)
def test_an_unsound_row_is_found(change):
    assert not check_rows(rows_of(change), TASK).passed


def test_one_class_is_found():
    assert not check_rows(rows_of(label="a"), TASK).passed


@pytest.mark.parametrize("column", ["text_digest", "group_digest"])
def test_a_text_or_a_group_in_both_splits_is_found(column):
    found = check_splits(rows_of({column: "x"}, {}, {column: "x"}), about())
    assert not found.passed
    assert found.figures[column] == 1
    assert check_splits(rows_of({}, {}, {column: "x"}, {column: "x"}), about()).passed


@pytest.mark.parametrize("column", ["conversation_id", "customer_key"])
def test_a_conversation_or_a_customer_in_both_splits_is_found(column):
    found = check_splits(rows_of(), about({column: "x"}, {}, {column: "x"}))
    assert not found.passed
    assert found.said == f"in train and dev: 1 by {column}"
    assert check_splits(rows_of(), about({column: None}, {}, {column: None})).passed


def test_sets_without_groups_are_read():
    assert check_splits(rows_of(group_digest=None), about()).passed


def test_a_row_of_the_audit_lot_or_of_its_conversation_is_found():
    assert not check_lots(rows_of(), about({"lot": "audit"})).passed
    assert not check_lots(rows_of(), about({"conversation_id": "x"}, count=12).vstack(
        t.INTERACTIONS.frame([{"interaction_id": "other", "conversation_id": "x", "lot": "audit"}])
    )).passed  # fmt: skip


def test_a_class_of_one_example_is_told():
    found = check_counts(rows_of({}, {}, {"label": "c"}), TASK)
    assert not found.passed
    assert found.figures == {"few": 2, "single": 1, "absent": 0}
    assert "c 1, a 4" in found.said


def test_two_thousand_classes_are_told_in_a_few_words():
    names = [f"label_{n}" for n in range(2000)]
    task = Task(name="topic", question="?", labels=tuple(Label(name=name, title=name) for name in names))
    rows = rows_of(*({"label": name, "split": "train"} for name in names), count=2000)
    found = check_counts(rows, task)
    assert found.figures["single"] == 2000
    assert len(found.said) < 500


def test_what_was_left_out_is_told():
    found = check_left_out({"text empty": 3, "text erased": 1})
    assert not found.passed
    assert found.said == "left out: 3 (text empty), 1 (text erased)"
    assert check_left_out({"text erased": 1}).passed


class TestOfShares:
    def classes(self, **counts):
        return pl.DataFrame({"label": [label for label, count in counts.items() for _ in range(count)]})

    def test_like_shares_pass_whatever_the_sizes(self):
        assert compare_classes(self.classes(a=500, b=300, c=7), self.classes(a=52, b=29, c=1)).passed

    def test_a_shift_is_told_with_the_class_that_moved_most(self):
        found = compare_classes(self.classes(a=100, b=300, c=100), self.classes(a=300, b=100, c=100))
        assert not found.passed
        assert found.figures["stability_index"] > 0.8

    def test_a_class_that_the_champion_never_knew_is_no_fault_of_arithmetic(self):
        found = compare_classes(self.classes(a=100, b=100, new=80), self.classes(a=100, b=100))
        assert not found.passed
        assert "most: new" in found.said

    def test_few_labels_say_nothing(self):
        assert compare_classes(self.classes(a=6, b=2), self.classes(a=3, b=5)).passed


def test_all_are_made_in_one_step_and_only_what_would_train_wrong_blocks(stocked):
    task = next(task for task in stocked.loop.settings.taxonomy.tasks if task.name == "intent")
    one, two, *_ = task.label_names
    names = [f"i{n}" for n in range(2 * FEW)]
    stocked.interactions(*names)
    rows = [
        {"interaction_id": name, "label": one if n % 2 else two, "text_digest": name, "group_digest": name}
        for n, name in enumerate(names)
    ]
    stocked.put(t.TRAINING_SETS, *rows, training_set_id="s", task="intent", weight=0.9, split="train")
    stocked.instance.report_runless_asset_event(
        dg.AssetMaterialization("intent_training_set", metadata={"training_set_id": "s", "left_out": {"text empty": 1}})
    )
    checks = training_set_checks(task)
    job = dg.define_asset_job("job", dg.AssetSelection.checks(checks))
    definitions = dg.Definitions(asset_checks=[checks], jobs=[job], resources={"loop": stocked.loop})
    done = definitions.resolve_job_def("job").execute_in_process(instance=stocked.instance)
    said = {each.check_name: each for each in done.get_asset_check_evaluations()}
    assert {name for name, each in said.items() if each.blocking} == BLOCKING
    assert {name for name, each in said.items() if not each.passed} == {"labels_used"}
    assert said["classes_as_champion"].description == "no champion yet"
