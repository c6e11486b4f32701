import hashlib
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.delta import Tables
from labeling.errors import TooFewLabels, TrainingError
from labeling.tables import LABELS, TRAINING_SETS
from labeling.taxonomy import Label, Task
from labeling.vocabulary import CANNOT_TELL, NONE_OF_THESE
from training.training_set import EMPTY, GONE, UNKNOWN, freeze_training_set, load_training_set, to_dataset

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TASK = Task(name="topic", question="About what?", labels=tuple(Label(name=n, title=n) for n in "abc"), rejects=True)


def labels_of(pairs):
    rows = [
        {"interaction_id": name, "task": "topic", "label": label, "confidence": 0.9, "settled_at": NOW}
        for name, label in pairs
    ]
    return LABELS.frame(rows)


def interactions_of(rows):
    names = ("interaction_id", "text", "conversation_id", "customer_key", "lot")
    return pl.DataFrame(
        [dict(zip(names, (*row, "open"), strict=True)) for row in rows], schema=dict.fromkeys(names, pl.String)
    )


def words(number):
    """Return a text like no other number's."""
    return hashlib.sha1(str(number).encode(), usedforsecurity=False).hexdigest()[:20]


def many(count, *, text="{}", conversation="talk-{}", customer="person-{}"):
    return [(f"i{n:04d}", text.format(words(n)), conversation.format(n), customer.format(n)) for n in range(count)]


def freeze(pairs, rows, *, share=0.3, now=NOW, key=b"k", task=TASK):
    return freeze_training_set(labels_of(pairs), interactions_of(rows), task=task, key=key, dev_share=share, now=now)


def test_the_id_names_the_content_and_nothing_else():
    rows = many(60)
    pairs = [(row[0], "abc"[n % 3]) for n, row in enumerate(rows)]
    one = freeze(pairs, rows)
    again = freeze(pairs[::-1], rows[::-1], now=datetime(2027, 1, 1, tzinfo=UTC))
    assert one.training_set_id == again.training_set_id
    assert one.rows.drop("frozen_at").equals(again.rows.drop("frozen_at"))
    assert freeze([*pairs[:-1], (pairs[-1][0], "a")], rows).training_set_id != one.training_set_id
    assert one.label_names == ("a", "b", "c")
    assert one.rows.schema == pl.Schema(TRAINING_SETS.schema)


def test_the_dev_share_is_kept():
    rows = many(2000)
    pairs = [(row[0], "abc"[n % 3]) for n, row in enumerate(rows)]
    for share in (0.0, 0.1, 0.3):
        dev = freeze(pairs, rows, share=share).rows.filter(pl.col("split") == "dev").height
        assert dev / 2000 == pytest.approx(share, abs=0.03)


def test_texts_conversations_and_customers_never_straddle():
    rows = [
        (f"i{n:04d}", f" {words(n // 2).upper()}!" if n % 2 else words(n // 2), f"talk-{n // 3}", f"person-{n // 4}")
        for n in range(400)
    ]
    # links of links would chain all rows into one: break the chain every twelve rows
    frozen = freeze([(row[0], "ab"[n % 2]) for n, row in enumerate(rows)], rows)
    joined = frozen.rows.join(interactions_of(rows), on="interaction_id")
    joined = joined.with_columns(plain=pl.col("text").str.to_lowercase().str.strip_chars(" !"))
    assert set(frozen.rows["split"]) == {"train", "dev"}
    for column in ("plain", "conversation_id", "customer_key"):
        assert joined.group_by(column).agg(pl.col("split").n_unique())["split"].max() == 1


def test_a_large_group_trains():
    rows = [(f"i{n:04d}", words(n), f"talk-{n}", "shop" if n < 150 else f"person-{n}") for n in range(300)]
    pairs = [(row[0], "ab"[n % 2]) for n, row in enumerate(rows)]
    for key in (b"1", b"2", b"3", b"4", b"5"):
        frozen = freeze(pairs, rows, share=0.5, key=key)
        assert set(frozen.rows.head(150)["split"]) == {"train"}
        assert "dev" in set(frozen.rows["split"])


def test_unknown_customers_are_not_one_customer():
    rows = [(name, text, talk, None) for name, text, talk, _ in many(200)]
    frozen = freeze([(row[0], "ab"[n % 2]) for n, row in enumerate(rows)], rows)
    assert set(frozen.rows["split"]) == {"train", "dev"}


def test_a_label_of_one_example_trains():
    rows = many(40)
    pairs = [(row[0], "a") for row in rows[:39]] + [(rows[39][0], "c")]
    for key in (b"1", b"2", b"3", b"4", b"5", b"6"):
        frozen = freeze(pairs, rows, share=0.6, key=key)
        assert frozen.label_names == ("a", "c")
        assert frozen.rows.filter(pl.col("label") == "c")["split"].to_list() == ["train"]


def test_what_cannot_be_trained_on_is_left_out_and_counted():
    rows = many(16)
    for place, text in ((12, ""), (13, " \n"), (14, " <EMAIL> <ORDER_NUMBER>\n")):
        rows[place] = (rows[place][0], text, *rows[place][2:])
    pairs = [(row[0], "ab"[n % 2]) for n, row in enumerate(rows[:10])]
    odd = [(rows[10][0], CANNOT_TELL), (rows[11][0], NONE_OF_THESE), ("erased", "a"), (rows[15][0], "gone")]
    frozen = freeze([*pairs, *odd, *((row[0], "a") for row in rows[12:15])], rows, share=0)
    assert frozen.rows.height == 11
    assert frozen.label_names == ("a", "b", NONE_OF_THESE)
    assert frozen.left_out == {EMPTY: 3, GONE: 1, UNKNOWN: 1}
    assert frozen.training_set_id == freeze([*pairs, odd[1]], rows, share=0).training_set_id


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([], "at least two kinds to train on, found 0 labels of 0: review"),
        ([("i0000", "a"), ("i0001", "a")], "found 2 labels of 1: review more"),
        (
            [("i0000", "a"), ("i0001", "gone")],
            r"found 1 labels of 1, 1 left out \(label outside the taxonomy\): review",
        ),
    ],
)
def test_a_set_that_cannot_train_is_refused(pairs, said):
    with pytest.raises(TooFewLabels, match=said):
        freeze(pairs, many(2))


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_no_group_straddles(data):
    """Whatever conversations, customers, copies and typos: who shares one of them shares the split, at any remove."""
    few = st.integers(0, 12)
    count = data.draw(st.integers(2, 40))
    drawn = [data.draw(st.tuples(few, few, few, st.integers(0, 3))) for _ in range(count)]
    form = (str, str.upper, lambda text: f"{text}?!", lambda text: text[:7] + "q" + text[8:])
    rows = [
        (f"i{n:04d}", form[how](words(text) + words(-text)), f"talk-{talk}", f"person-{who}" if who else None)
        for n, (text, talk, who, how) in enumerate(drawn)
    ]
    frozen = freeze([(row[0], "ab"[n % 2]) for n, row in enumerate(rows)], rows, share=0.5)
    known = frozen.rows.with_columns(
        text=pl.Series([text for text, *_ in drawn]),
        talk=pl.Series([talk for _, talk, *_ in drawn]),
        who=pl.Series([who or None for _, _, who, _ in drawn]),
    )
    for column in ("text", "talk", "who"):
        together = known.drop_nulls(column).group_by(column).agg(pl.col("split", "group_digest").n_unique())
        assert together.select(pl.max_horizontal(pl.col("split", "group_digest").max().fill_null(1))).item() == 1
    assert known.group_by("group_digest").agg(pl.col("split").n_unique())["split"].max() == 1


def test_two_thousand_classes_freeze():
    names = [f"label_{n}" for n in range(2000)]
    task = Task(name="topic", question="?", labels=tuple(Label(name=name, title=name) for name in names))
    rows = many(6000)
    frozen = freeze([(row[0], names[n % 2000]) for n, row in enumerate(rows)], rows, task=task)
    assert frozen.label_names == tuple(names)
    assert 0.1 < (frozen.rows["split"] == "dev").mean() < 0.3  # every third row, less those of labels of dev alone


def test_a_text_of_ten_thousand_words_freezes_beside_others():
    rows = many(30)
    long = " ".join(words(n) for n in range(10_000))
    rows[3], rows[4] = ("i0003", long, *rows[3][2:]), ("i0004", f"{long} please", *rows[4][2:])
    frozen = freeze([(row[0], "ab"[n % 2]) for n, row in enumerate(rows)], rows, share=0.5)
    assert frozen.rows.height == 30
    assert frozen.rows["group_digest"][3] == frozen.rows["group_digest"][4]
    assert frozen.rows["group_digest"].n_unique() == 29


def test_an_audit_case_is_refused():
    rows = interactions_of(many(4)).with_columns(lot=pl.lit("audit"))
    labels = labels_of([("i0000", "a"), ("i0001", "b")])
    with pytest.raises(TrainingError, match="found 2 of the audit lot"):
        freeze_training_set(labels, rows, task=TASK, key=b"k", dev_share=0.1, now=NOW)


def test_the_set_is_stored_without_its_texts_and_read_back_as_a_dataset(tmp_path):
    rows = many(40, text="canary {}")
    frozen = freeze([(row[0], "ab"[n % 2]) for n, row in enumerate(rows)], rows)
    tables = Tables(tmp_path)
    tables.merge(TRAINING_SETS, frozen.rows)
    assert tables.merge(TRAINING_SETS, frozen.rows).inserted == 0
    assert b"canary" not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    dataset = to_dataset(frozen, interactions_of(rows))
    assert {name: part.num_rows for name, part in dataset.items()} == dict(frozen.rows["split"].value_counts().rows())
    assert dataset["train"].column_names == ["text", "label", "weight"]
    assert set(dataset["train"]["weight"]) == {0.9}
    with pytest.raises(TrainingError, match="found 1 of them gone"):
        to_dataset(frozen, interactions_of(rows[1:]))


def test_a_set_that_was_frozen_under_other_labels_is_not_trained_on(tmp_path):
    rows, tables = many(40), Tables(tmp_path)
    frozen = freeze([(row[0], "ab"[n % 2]) for n, row in enumerate(rows)], rows)
    tables.merge(TRAINING_SETS, frozen.rows)
    assert load_training_set(tables, frozen.training_set_id, task=TASK).label_names == ("a", "b")
    renamed = TASK.model_copy(update={"labels": tuple(Label(name=name, title=name) for name in ("bb", "a", "c"))})
    with pytest.raises(TrainingError, match="found b, which changed since it was frozen: freeze a new one"):
        load_training_set(tables, frozen.training_set_id, task=renamed)


def test_an_empty_dev_is_an_empty_split():
    rows = many(4)
    dataset = to_dataset(
        freeze([(row[0], "ab"[n % 2]) for n, row in enumerate(rows)], rows, share=0), interactions_of(rows)
    )
    assert dataset["dev"].num_rows == 0
    assert dataset["dev"].column_names == ["text", "label", "weight"]
