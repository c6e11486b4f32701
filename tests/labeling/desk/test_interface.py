"""The page and its guide follow from the taxonomy alone."""

from xml.etree import ElementTree

import pytest

from labeling.desk.interface import answer_titles, groups, page_keys, render_guide, render_page
from labeling.taxonomy import Label, Task, Taxonomy
from tests.contracts.desks import TAXONOMY, URGENCY


def many(count: int, domains: int) -> Taxonomy:
    labels = tuple(Label(name=f"l{n}", title=f"Label {n}", domain=f"Domain {n % domains}") for n in range(count))
    intent = Task(name="intent", question="What?", rejects=True, labels=labels)
    return TAXONOMY.model_copy(update={"tasks": (intent, *TAXONOMY.tasks[1:])})


def parsed(taxonomy: Taxonomy) -> ElementTree.Element:
    return ElementTree.fromstring(render_page(taxonomy))  # noqa: S314 - our own page


def choices(taxonomy: Taxonomy) -> dict[str, list[ElementTree.Element]]:
    return {control.attrib["name"]: list(control.iter("Choice")) for control in parsed(taxonomy).iter("Choices")}


def test_every_answer_of_every_task_stands_once_on_the_page():
    found = choices(TAXONOMY)
    assert {task: sorted(one.attrib["alias"] for one in of) for task, of in found.items()} == {
        task.name: sorted(task.answers) for task in TAXONOMY.tasks
    }


def test_a_third_task_appears_by_itself_and_moves_no_key():
    wider = TAXONOMY.model_copy(update={"tasks": (*TAXONOMY.tasks, URGENCY)})
    assert [one.attrib["alias"] for one in choices(wider)["urgency"]] == ["today", "later", "cannot_tell"]
    before, after = page_keys(TAXONOMY), page_keys(wider)
    assert {name: after[name] for name in before} == before


def test_every_question_must_be_answered_before_submitting():
    controls = parsed(TAXONOMY).iter("Choices")
    assert [control.attrib["required"] for control in controls] == ["true", "true"]


@pytest.mark.parametrize(("count", "domains"), [(25, 6), (72, 1), (72, 9), (8, 8)])
def test_every_answer_has_a_key_of_its_own(count: int, domains: int):
    taxonomy = many(count, domains)
    keys = page_keys(taxonomy)
    assert {task: set(of) for task, of in keys.items()} == {task.name: set(task.answers) for task in taxonomy.tasks}
    given = [key for of in keys.values() for key in of.values()]
    assert len(given) == len(set(given))


def test_a_domain_keeps_its_row_of_keys():
    keys = page_keys(many(25, 5))["intent"]
    rows = [[keys[name] for name in names] for _, names in groups(many(25, 5).tasks[0])]
    assert rows[0] == ["1", "2", "3", "4", "5"]
    assert rows[1] == ["q", "w", "e", "r", "t"]
    assert rows[3] == ["shift+1", "shift+2", "shift+3", "shift+4", "shift+5"]


def test_labels_beyond_the_keys_can_still_be_clicked():
    taxonomy = many(120, 4)
    keys = page_keys(taxonomy)["intent"]
    assert len(set(keys.values())) == len(keys) == 74
    shown = choices(taxonomy)["intent"]
    assert len(shown) == 122
    assert sum("hotkey" in one.attrib for one in shown) == 74


def test_sentiment_has_letters_and_intents_do_not_take_them():
    keys = page_keys(TAXONOMY)
    assert list(keys["sentiment"].values()) == ["z", "x", "c", "v"]
    assert not set(keys["sentiment"].values()) & set(keys["intent"].values())


def test_words_of_the_taxonomy_cannot_break_out_of_the_page():
    nasty = 'A "B" <img src=x> & $dialogue\'s'
    labels = (Label(name="a", title=nasty, domain=nasty[:40]), Label(name="b", title="B"))
    taxonomy = TAXONOMY.model_copy(update={"tasks": (Task(name="odd", question=nasty, labels=labels),)})
    assert "$dialogue's" not in render_page(taxonomy)
    shown = choices(taxonomy)["odd"][0].attrib["value"]
    assert shown == nasty.replace("$", "\N{FULLWIDTH DOLLAR SIGN}")
    assert "<img" not in render_guide(taxonomy)


def test_labels_of_one_title_are_told_apart():
    labels = (Label(name="a", title="Card"), Label(name="b", title="Card"), Label(name="c", title="Fee"))
    titles = answer_titles(Task(name="t", question="?", labels=labels))
    assert titles == {"a": "Card (a)", "b": "Card (b)", "c": "Fee", "cannot_tell": "Cannot tell"}


def test_the_guide_explains_each_label_with_its_key_and_examples():
    guide = render_guide(TAXONOMY)
    for task in TAXONOMY.tasks:
        for label in task.labels:
            key = page_keys(TAXONOMY)[task.name][label.name]
            assert f"<b>{label.title}</b> <code>[{key}]</code> {label.description}" in guide
    assert "<i>“Hm?”</i>" in guide
    assert "Ctrl+Enter" in guide
