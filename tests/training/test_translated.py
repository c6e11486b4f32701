import numpy as np
import pytest

from labeling.migrations import LabelChange, Migration
from labeling.taxonomy import Label, Task, Taxonomy
from training.scoring import Scores
from training.translated import translate_scores


def taxonomy(*labels: str, **change) -> Taxonomy:
    task = Task(name="topic", question="What?", labels=tuple(Label(name=name, title=name) for name in labels))
    migration = Migration(version=2, tasks={"topic": LabelChange(**change)})
    return Taxonomy(schema_version=1, version=2, tasks=(task,), migrations=(migration,))


def scores(**columns: list[float]) -> Scores:
    return Scores(tuple(columns), np.array(list(columns.values()), dtype=np.float32).T)


def test_a_renamed_label_keeps_its_probability_and_its_place():
    said = translate_scores(scores(a=[0.7], b=[0.3]), taxonomy("new", "b", rename={"a": "new"}), "topic")
    assert said.labels == ("new", "b")
    assert said.probabilities == pytest.approx(np.array([[0.7, 0.3]]))


def test_merged_labels_add_up_so_that_the_answer_can_change():
    said = translate_scores(scores(a=[0.3], b=[0.4], c=[0.3]), taxonomy("b", "ac", merge={"ac": ("a", "c")}), "topic")
    assert said.frame().drop("novelty").row(0) == ("ac", pytest.approx(0.6), pytest.approx(0.2))


def test_a_retired_label_is_left_out_and_the_rest_is_not_raised():
    said = translate_scores(scores(a=[0.9], b=[0.02], c=[0.08]), taxonomy("b", "c", retire=("a",)), "topic")
    assert said.frame().drop("novelty").row(0) == ("c", pytest.approx(0.08), pytest.approx(0.06))


def test_a_model_with_one_label_left_or_none_answers_still():
    merged = translate_scores(scores(a=[0.6], b=[0.4]), taxonomy("ab", "c", merge={"ab": ("a", "b")}), "topic")
    assert merged.frame().drop("novelty").row(0) == ("ab", pytest.approx(1.0), pytest.approx(1.0))
    gone = translate_scores(scores(a=[0.6], b=[0.4]), taxonomy("c", "d", retire=("a", "b")), "topic")
    assert gone.frame().drop("novelty").row(0) == ("cannot_tell", 0.0, 0.0)


def test_a_model_of_today_and_an_unknown_label_are_left_alone():
    said, known = scores(a=[0.6], b=[0.4]), taxonomy("c", "d", retire=("x",))
    assert translate_scores(said, known, "topic") is said
    assert translate_scores(said, taxonomy("a", "d", retire=("b",)), "mood") is said
