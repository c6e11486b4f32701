"""Every answer has a key of its own, on keys that never move."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.desk.page_keys import FIELD_KEYS, page_keys, typed_as
from labeling.desk.page_tasks import groups, page_tasks
from labeling.taxonomy import Label, Task, Taxonomy
from tests.contracts.desks import TAXONOMY, URGENCY
from tests.labeling.desk.banking77 import FILE, read_banking77

DEAF_IN_FIREFOX = {"-", "=", ";", "shift+-", "shift+=", "shift+;"}


def many(count: int, domains: int, *, beside: tuple[Task, ...] = TAXONOMY.tasks[1:]) -> Taxonomy:
    labels = tuple(Label(name=f"l{n}", title=f"Label {n}", domain=f"Domain {n % domains}") for n in range(count))
    intent = Task(name="intent", question="What?", rejects=True, labels=labels)
    return TAXONOMY.model_copy(update={"tasks": (intent, *beside)})


def given_keys(taxonomy: Taxonomy) -> list[str]:
    return [key for of in page_keys(taxonomy).values() for key in of.values()]


@pytest.mark.parametrize(("count", "domains"), [(25, 6), (72, 1), (77, 9), (83, 10), (8, 8)])
def test_every_answer_has_a_key_of_its_own(count: int, domains: int):
    taxonomy = many(count, domains)
    keys = page_keys(taxonomy)
    assert {task: set(of) for task, of in keys.items()} == {
        task.name: set(task.answers) for task in page_tasks(taxonomy)
    }


@pytest.mark.skipif(not FILE.is_file(), reason="needs banking77.csv in the folder that CXLOOP_DATA names")
def test_all_77_intents_of_banking77_have_keys_that_every_browser_hears():
    taxonomy = read_banking77()
    assert {task: len(of) for task, of in page_keys(taxonomy).items()} == {"handoff": 3, "intent": 79, "sentiment": 4}
    assert not DEAF_IN_FIREFOX & set(given_keys(taxonomy))


@settings(max_examples=60, deadline=None)
@given(st.integers(8, 300), st.integers(1, 30), st.lists(st.integers(2, 12), max_size=4))
def test_no_key_stands_for_two_answers_or_leads_to_a_field_as_well(count: int, domains: int, beside: list[int]):
    others = tuple(
        Task(name=f"t{n}", question="?", labels=tuple(Label(name=f"l{k}", title=f"L {k}") for k in range(size)))
        for n, size in enumerate(beside)
    )
    taxonomy = many(count, domains, beside=others)
    keys = [*given_keys(taxonomy), *FIELD_KEYS.values()]
    assert len(keys) == len(set(keys)) == min(94, sum(len(task.answers) for task in page_tasks(taxonomy)) + 2)
    assert len({typed_as(key) for key in keys}) == len(keys)


def test_a_domain_keeps_its_row_of_keys():
    taxonomy = many(25, 5)
    keys = page_keys(taxonomy)["intent"]
    rows = [[keys[name] for name in names] for _, names in groups(taxonomy.tasks[0])]
    assert rows[0] == ["1", "2", "3", "4", "5"]
    assert rows[1] == ["q", "w", "e", "r", "t"]
    assert rows[3] == ["shift+1", "shift+2", "shift+3", "shift+4", "shift+5"]


def test_a_domain_that_outgrows_a_row_goes_on_in_the_next():
    taxonomy = many(24, 2)
    keys = page_keys(taxonomy)["intent"]
    first, second, _ = [[keys[name] for name in names] for _, names in groups(taxonomy.tasks[0])]
    assert first == [*"1234567890", "q", "w"]
    assert second == [*"asdfghjkl", "shift+1", "shift+2", "shift+3"]


def test_the_answers_that_every_task_has_and_the_handoff_keep_their_keys_whatever_the_taxonomy():
    for taxonomy in (TAXONOMY, many(25, 6), many(77, 9)):
        keys = page_keys(taxonomy)
        assert (keys["intent"]["none_of_these"], keys["intent"]["cannot_tell"]) == (",", ".")
        assert keys["handoff"] == {"needed": "b", "not_needed": "n", "cannot_tell": "m"}
        assert list(keys["sentiment"].values()) == ["z", "x", "c", "v"]


def test_a_third_task_moves_no_key():
    wider = TAXONOMY.model_copy(update={"tasks": (*TAXONOMY.tasks, URGENCY)})
    before, after = page_keys(TAXONOMY), page_keys(wider)
    assert {name: after[name] for name in before} == before
    assert list(after["urgency"].values()) == ["shift+z", "shift+x", "shift+c"]


@pytest.mark.parametrize(
    ("key", "typed"), [("q", "q"), ("shift+q", "Q"), ("shift+1", "!"), ("shift+'", '"'), ("/", "/")]
)
def test_a_key_is_typed_into_a_field_as_the_keyboard_writes_it(key: str, typed: str):
    assert typed_as(key) == typed
