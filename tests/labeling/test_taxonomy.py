import pytest

from labeling.config import parse_config
from labeling.errors import ConfigError, UnknownTask
from labeling.taxonomy import Taxonomy

LABELS = [{"name": "refund", "title": "Refund"}, {"name": "delivery", "title": "Delivery"}]


def taxonomy(*tasks: dict) -> Taxonomy:
    raw = {"schema_version": 1, "version": 3, "tasks": list(tasks)}
    return parse_config(raw, Taxonomy, name="taxonomy.yaml")


def task(name: str = "intent", **change) -> dict:
    return {"name": name, "question": "What?", "labels": LABELS} | change


def test_what_a_model_may_say_and_what_a_person_may_answer():
    known = taxonomy(task(rejects=True), task("mood"))
    assert known.task_names == ("intent", "mood")
    assert known.task("intent").label_names == ("refund", "delivery")
    assert known.task("intent").trainable == ("refund", "delivery", "none_of_these")
    assert known.task("intent").answers == ("refund", "delivery", "none_of_these", "cannot_tell")
    assert known.task("mood").answers == ("refund", "delivery", "cannot_tell")


def test_an_unknown_task_names_the_known_ones():
    with pytest.raises(UnknownTask, match="intent, mood"):
        taxonomy(task(), task("mood")).task("urgency")


@pytest.mark.parametrize(
    ("tasks", "fault"),
    [
        ([], "tasks"),
        ([task(), task()], "must differ"),
        ([task("Intent")], "lower-case"),
        ([task("1st")], "starts with a letter"),
        ([task("a" * 65)], "1 to 64"),
        ([task(labels=LABELS[:1])], "labels"),
        ([task(labels=[*LABELS, LABELS[0]])], "more than once: refund"),
        ([task(labels=[*LABELS, {"name": "cannot_tell", "title": "x"}])], "reserved names"),
        ([task(labels=[*LABELS, {"name": "x", "title": ""}])], "labels.2.title"),
        ([task(question="")], "question"),
    ],
)
def test_a_faulty_taxonomy_is_refused_with_its_place(tasks, fault):
    with pytest.raises(ConfigError, match=fault) as caught:
        taxonomy(*tasks)
    assert caught.value.faults[0].startswith("taxonomy.yaml: ")


def test_another_schema_version_is_refused():
    with pytest.raises(ConfigError, match="schema_version"):
        parse_config({"schema_version": 2, "version": 1, "tasks": [task()]}, Taxonomy, name="taxonomy.yaml")
