"""The page and its guide follow from the taxonomy alone."""

from html import escape
from xml.etree import ElementTree

from labeling.desk.interface import STEP, render_guide, render_page
from labeling.desk.page_keys import page_keys
from labeling.desk.page_tasks import answer_titles, page_tasks
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
    assert found.pop(STEP)
    assert {task: sorted(one.attrib["alias"] for one in of) for task, of in found.items()} == {
        task.name: sorted(task.answers) for task in page_tasks(TAXONOMY)
    }


def test_a_third_task_appears_by_itself():
    wider = TAXONOMY.model_copy(update={"tasks": (*TAXONOMY.tasks, URGENCY)})
    assert [one.attrib["alias"] for one in choices(wider)["urgency"]] == ["today", "later", "cannot_tell"]


def test_every_question_must_be_answered_before_submitting():
    controls = {control.attrib["name"]: control.attrib for control in parsed(TAXONOMY).iter("Choices")}
    assert {name for name, of in controls.items() if of.get("required") == "true"} == controls.keys() - {STEP}


def test_labels_beyond_the_keys_can_still_be_clicked():
    taxonomy = many(2000, 40)
    keys = page_keys(taxonomy)["intent"]
    assert len(set(keys.values())) == len(keys) == 85
    shown = choices(taxonomy)["intent"]
    assert len(shown) == 2002
    assert sum("hotkey" in one.attrib for one in shown) == 85
    assert "What? (answers without a key: click)" in render_page(taxonomy)
    assert "without a key" not in render_page(many(77, 9))


def test_the_handoff_is_asked_of_every_case_in_words_that_come_with_it():
    page = parsed(TAXONOMY)
    assert [one.attrib["alias"] for one in choices(TAXONOMY)["handoff"]] == ["needed", "not_needed", "cannot_tell"]
    assert "$handoff_question" in [header.attrib["value"] for header in page.iter("Header")]


def test_a_second_answer_and_a_note_have_a_field_behind_a_key():
    page = parsed(TAXONOMY)
    fields = {field.attrib["name"]: field.attrib for field in page.iter("TextArea")}
    assert list(fields) == ["intent-second", "short-note"]
    assert {field["maxSubmissions"] for field in fields.values()} == {"1"}
    steps = {step.attrib["hotkey"]: step.attrib["toName"] for step in page.iter("Filter")}
    assert steps == {"\\": STEP, "`": STEP}


def test_what_is_no_answer_cannot_be_filtered_or_picked_by_accident():
    """Enter in Label Studio's filter picks the first choice of the control it filters."""
    filtered = {step.attrib["toName"] for step in parsed(TAXONOMY).iter("Filter")}
    assert not filtered & {task.name for task in page_tasks(TAXONOMY)}


def test_the_style_holds_nothing_that_label_studio_escapes():
    style = parsed(TAXONOMY).find("Style")
    assert style is not None
    assert not {"<", ">", "&"} & set(style.text or "<")


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
    for task in page_tasks(TAXONOMY):
        for label in task.labels:
            key = page_keys(TAXONOMY)[task.name][label.name]
            assert f"<b>{label.title}</b> <code>[{key}]</code> {escape(label.description)}" in guide
    assert "<i>“Hm?”</i>" in guide
    assert "<b>None of these / new</b> <code>[,]</code>" in guide
    assert "Ctrl+Enter" in guide
    assert "<code>\\</code>, <b>Tab</b>" in guide
