from itertools import count

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.config import parse_config
from labeling.errors import ConfigError
from labeling.taxonomy import Taxonomy


def taxonomy(labels: list[str], *migrations: dict, version: int = 9, **change) -> Taxonomy:
    task = {"name": "intent", "question": "What?", "labels": [{"name": name, "title": name} for name in labels]}
    steps = [{"version": 2 + row, "tasks": {"intent": step}} for row, step in enumerate(migrations)]
    raw = {"schema_version": 1, "version": version, "tasks": [task | change], "migrations": steps}
    return parse_config(raw, Taxonomy, name="taxonomy.yaml")


CHANGED = (
    ["lost_card", "network", "plan"],
    {"rename": {"card_gone": "card_lost"}, "merge": {"plan": ["plan", "tariff"]}},
    {"rename": {"card_lost": "lost_card"}, "merge": {"network": ["no_signal", "slow"]}, "retire": ["greeting"]},
)


def test_a_label_of_any_version_has_the_name_of_today():
    known = taxonomy(*CHANGED, rejects=True)
    names = {"card_gone": "lost_card", "card_lost": "lost_card", "tariff": "plan", "slow": "network", "greeting": None}
    assert {was: known.current("intent", was) for was in names} == names
    assert [known.current("intent", now) for now in ("plan", "none_of_these", "cannot_tell")] == [
        "plan",
        "none_of_these",
        "cannot_tell",
    ]
    assert known.current("intent", "never") is None
    assert known.current("mood", "plan") is None


def test_an_answer_is_accepted_under_every_name_that_its_label_had():
    known = taxonomy(*CHANGED)
    assert all(known.accepts("intent", name) for name in ("card_gone", "greeting", "plan", "cannot_tell"))
    assert not any(
        known.accepts(*pair) for pair in (("intent", "never"), ("intent", "none_of_these"), ("mood", "slow"))
    )


def test_every_column_of_labels_is_translated_and_no_row_is_lost():
    frame = pl.DataFrame(
        {
            "task": ["intent", "intent", "intent", "mood", None],
            "label": ["card_gone", "greeting", None, "slow", "slow"],
            "suggestion": ["slow", "slow", "greeting", "slow", None],
            "previous_label": ["greeting", "tariff", "plan", None, "slow"],
            "second_label": ["never", "greeting", "no_signal", "tariff", None],
            "note": ["slow", "", "", "", ""],
        }
    )
    assert taxonomy(*CHANGED).translate(frame).to_dict(as_series=False) == {
        "task": ["intent", "intent", "intent", "mood", None],
        "label": ["lost_card", "cannot_tell", None, "slow", "slow"],
        "suggestion": ["network", "network", None, "slow", None],
        "previous_label": [None, "plan", "plan", None, "slow"],
        "second_label": ["never", None, "network", "tariff", None],
        "note": ["slow", "", "", "", ""],
    }


def test_without_migrations_and_without_rows_a_frame_stays_as_it_is():
    frame = pl.DataFrame({"task": ["intent"], "label": ["a"]})
    assert taxonomy(["a", "b"]).translate(frame) is frame
    assert taxonomy(*CHANGED).translate(frame.clear()).schema == frame.schema
    assert taxonomy(*CHANGED).translate(frame.select("task")).equals(frame.select("task"))


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[str], list[dict]]:
    """Return the labels of today, and migrations that led to them, from three labels on."""
    fresh = (f"l{number}" for number in count())
    labels, steps = [next(fresh) for _ in range(draw(st.integers(3, 8)))], []
    for _ in range(draw(st.integers(1, 5))):
        order = draw(st.permutations(labels))
        step: dict = {"rename": {order[0]: next(fresh)}}
        if len(order) > 3 and draw(st.booleans()):
            step["merge"] = {draw(st.sampled_from([order[1], next(fresh)])): order[1:3]}
        if len(order) > 4 and draw(st.booleans()):
            step["retire"] = [order[3]]
        labels = sorted({replayed for label in labels if (replayed := one_step(step, label)) != "cannot_tell"})
        steps.append(step)
    return labels, steps


def one_step(step: dict, label: str) -> str:
    if label in step.get("retire", ()):
        return "cannot_tell"
    taken = {old: kept for kept, olds in step.get("merge", {}).items() for old in olds}
    return (step["rename"] | taken).get(label, label)


@settings(max_examples=60, deadline=None)
@given(histories())
def test_a_chain_of_migrations_is_each_step_in_turn_and_twice_is_once(history: tuple[list[str], list[dict]]):
    labels, steps = history
    known = taxonomy(labels, *steps)
    ever = sorted({name for step in steps for name in (*step["rename"], *step.get("retire", ()))} | set(labels))
    expected = ever
    for step in steps:
        expected = [one_step(step, label) for label in expected]
    once = known.translate(pl.DataFrame({"task": "intent", "label": ever}))
    assert once["label"].to_list() == expected
    assert set(expected) <= {*labels, "cannot_tell"}
    assert known.translate(once).equals(once)
    assert [known.current("intent", label) or "cannot_tell" for label in ever] == expected


@pytest.mark.parametrize(
    ("labels", "steps", "fault"),
    [
        (["a", "b"], [{"rename": {"a": "b"}}], "0.tasks.intent.rename.a: a still stands among the labels"),
        (["a", "b"], [{"rename": {"x": "y"}}], "0.tasks.intent.rename.x: nothing is called y: it is neither"),
        (["a", "b"], [{"rename": {"x": "y"}}, {"rename": {"y": "x"}}], "given up is never used again"),
        (["a", "b"], [{"retire": ["x"]}, {"merge": {"a": ["x"]}}], "1.tasks.intent.merge.a.0: x already went"),
        (["a", "b"], [{"rename": {"x": "y", "y": "a"}}], "rename.x: nothing is called y"),
        (["a", "b"], [{"rename": {"x": "a"}, "retire": ["x"]}], "0.tasks.intent: .*more than once: x"),
        (["a", "b"], [{"rename": {"x": "a", "y": "a"}}], "become one only by `merge`: a"),
        (["a", "b"], [{"merge": {"a": ["a"]}}], "needs a label to rename"),
        (["a", "b"], [{"retire": ["cannot_tell"]}], "reserved names cannot be changed: cannot_tell"),
        (["a", "b"], [{"merge": {"none_of_these": ["x"]}}], "nothing is called none_of_these"),
        (["a", "b"], [{"rename": {"X": "a"}}], "lower-case"),
        (["a", "b"], [{"split": {"x": ["a", "b"]}}], "split"),
    ],
)
def test_a_migration_that_leads_nowhere_is_refused_with_its_place(labels: list[str], steps: list[dict], fault: str):
    with pytest.raises(ConfigError, match=fault):
        taxonomy(labels, *steps)


def test_what_is_outside_every_label_now_may_be_merged_into_none_of_these():
    known = taxonomy(["a", "b"], {"merge": {"none_of_these": ["x"]}}, rejects=True)
    assert known.current("intent", "x") == "none_of_these"


def test_versions_rise_and_end_with_the_taxonomy_and_all_faults_are_told_at_once():
    steps = [
        {"version": 3, "tasks": {"intent": {"retire": ["x"]}}},
        {"version": 3, "tasks": {"mood": {"retire": ["y"]}}},
        {"version": 5, "tasks": {"intent": {"rename": {"a": "z"}}}},
    ]
    raw = taxonomy(["a", "b"], version=4).model_dump() | {"migrations": steps}
    with pytest.raises(ConfigError) as caught:
        parse_config(raw, Taxonomy, name="taxonomy.yaml")
    places = {fault.split(": ")[1] for fault in caught.value.faults}
    assert places == {
        "migrations.1.version",
        "migrations.2.version",
        "migrations.1.tasks.mood",
        "migrations.2.tasks.intent.rename.a",
    }


def test_no_task_may_be_called_handoff_which_every_page_asks():
    with pytest.raises(ConfigError, match="reserved names cannot be tasks: handoff"):
        taxonomy(["a", "b"], name="handoff")
