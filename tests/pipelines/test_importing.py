"""Labels that came before become a taxonomy and events that collect takes in."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeling.config import parse_config
from labeling.errors import SourceError
from labeling.sources.labelled import LabelledText
from labeling.taxonomy import Taxonomy
from pipelines.importing import derive_taxonomy, name_labels, write_inbox

AT = datetime(2026, 3, 1, tzinfo=UTC)


def labelled(key: str, text: str, annotator: str = "ann", **labels: str) -> LabelledText:
    return LabelledText(key, text, labels, annotator, AT)


def read_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_labels_are_named_as_a_taxonomy_wants_them() -> None:
    written = ["Card lost", "card-lost", "2nd line", "Überweisung", "!!", "none_of_these"]
    assert name_labels(written) == {
        "!!": "label",
        "2nd line": "label_2nd_line",
        "Card lost": "card_lost",
        "card-lost": "card_lost_2",
        "none_of_these": "none_of_these",
        "Überweisung": "uberweisung",
    }


@given(st.lists(st.text(min_size=1, max_size=100).filter(str.strip), min_size=2, unique=True))
def test_any_labels_make_a_taxonomy_that_loads(written: list[str]) -> None:
    rows = [labelled(str(number), "text", topic=label) for number, label in enumerate(written)]
    names = name_labels(written)
    learnable = [name for name in names.values() if name not in ("none_of_these", "cannot_tell")]
    if len(learnable) < 2:
        return
    taxonomy, _ = derive_taxonomy(rows)
    loaded = parse_config(taxonomy, Taxonomy, name="taxonomy.yaml")
    assert sorted(loaded.tasks[0].label_names) == sorted(learnable)


def test_only_a_sentiment_has_no_reject_class() -> None:
    rows = [labelled("1", "a", intent="x", sentiment="neg"), labelled("2", "b", intent="y", sentiment="pos")]
    taxonomy, _ = derive_taxonomy(rows)
    assert {task["name"]: task["rejects"] for task in taxonomy["tasks"]} == {"intent": True, "sentiment": False}


def test_too_few_labels_are_refused() -> None:
    with pytest.raises(SourceError, match="labelled texts are needed, found none"):
        derive_taxonomy([])
    with pytest.raises(SourceError, match="task intent needs two labels or more, found 1"):
        derive_taxonomy([labelled("1", "a", intent="x"), labelled("2", "b", intent="none_of_these")])


def test_two_people_on_one_text_are_one_interaction_and_two_reviews(tmp_path: Path) -> None:
    rows = [labelled("7", "hello", "ann", intent="Hi"), labelled("7", "hello", "bob", intent="Bye")]
    _, names = derive_taxonomy(rows)
    write_inbox(tmp_path, rows, names, origin="csv")
    interactions = read_lines(tmp_path / "interactions" / "csv.jsonl")
    reviews = read_lines(tmp_path / "reviews" / "csv.jsonl")
    assert [row["text"] for row in interactions] == ["hello"]
    assert {row["interaction_id"] for row in reviews} == {interactions[0]["interaction_id"]}
    assert len({row["review_id"] for row in reviews}) == 2
    assert {(row["annotator_id"], row["label"]) for row in reviews} == {("ann", "hi"), ("bob", "bye")}


def test_the_same_labels_make_the_same_ids_again(tmp_path: Path) -> None:
    rows = [labelled("1", "one", intent="a"), labelled("2", "two", intent="b")]
    _, names = derive_taxonomy(rows)
    write_inbox(tmp_path / "first", rows, names, origin="csv")
    write_inbox(tmp_path / "again", rows, names, origin="csv")
    for table in ("interactions", "reviews"):
        first, again = (tmp_path / turn / table / "csv.jsonl" for turn in ("first", "again"))
        assert first.read_bytes() == again.read_bytes()
