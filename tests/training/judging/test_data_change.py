import json

from labeling.tables import CORRECTIONS, LABELS, REVIEWS, TRAINING_SETS
from training.judging.data_change import DataChange, compare_sets

SETTLED = LABELS.frame(
    [
        {"interaction_id": "a", "label": "fee", "source": "review", "answer_ids": ["r1", "r2"]},
        {"interaction_id": "b", "label": "fee", "source": "review", "answer_ids": ["r3"]},
        {"interaction_id": "c", "label": "pin", "source": "correction", "answer_ids": ["k1"]},
    ]
)
ANSWERS = {
    "labels": SETTLED,
    "reviews": REVIEWS.frame(
        [
            {"review_id": f"r{place}", "annotator_id": who, "task": task}
            for place, who in ((1, "ann"), (2, "bo"), (3, "ann"))
            for task in ("intent", "sentiment")
        ]
    ),
    "corrections": CORRECTIONS.frame([{"correction_id": "k1", "agent_id": "agent-7"}]),
}


def frozen(name, **labels):
    return TRAINING_SETS.frame(
        [{"training_set_id": name, "interaction_id": one, "label": label} for one, label in labels.items()]
    )


def test_what_is_new_is_told_by_source_annotator_and_label():
    change = compare_sets(frozen("new", a="fee", b="fee", c="pin"), frozen("old", b="fee", d="pin"), **ANSWERS)
    assert change == DataChange(
        "new", 3, 2, 2, 1, {"correction": 1, "review": 1}, {"agent-7": 1, "ann": 1, "bo": 1}, {"fee": 1, "pin": 1}
    )
    assert DataChange.from_document(json.loads(json.dumps(change.to_document()))) == change


def test_a_first_set_is_all_new_and_another_label_is_both():
    assert compare_sets(frozen("new", a="fee", b="fee"), None, **ANSWERS).added == 2
    change = compare_sets(frozen("new", a="fee", b="fee"), frozen("old", a="pin", b="fee"), **ANSWERS)
    assert (change.added, change.removed) == (1, 1)
    assert change.annotators == {"ann": 1, "bo": 1}


def test_rows_whose_label_has_gone_since_are_in_no_source():
    change = compare_sets(frozen("new", a="fee", z="fee"), None, **(ANSWERS | {"labels": SETTLED.clear()}))
    assert (change.added, change.sources, change.annotators) == (2, {}, {})
